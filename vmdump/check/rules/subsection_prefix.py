"""A subsection whose name does not begin with its parent's."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "A destination takes a subsection for that of another description, and never finds it."
EXAMPLE = (
    "vmstate_tlb6xx of PowerPC called its subsection cpu/tlb6xx/..., and itself cpu/tlb6xx2 (as was fixed in QEMU 9.2)"
)
REMEDY = "Name it PARENT/PART."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "{subsection} is never found when it is sent: its name does not begin with {description}/"
