"""A renamed field's test decides whether the load fails or succeeds with wrong values."""

VERDICT = "breaks"
WHY = (
    "If the tests of both sides agree, the section does not end where the destination expects its footer, and the "
    "load fails. If they differ, one side sends a field that the other does not read: the sizes add up, QEMU reports "
    "no error, and the fields after it are read from the wrong offset."
)
EXAMPLE = (
    "esp from QEMU 10.0 to 7.2: the source sends drq_state but no longer mig_ti_cmd, so 7.2 reads ti_cmd and lun from "
    "lun and drq_state"
)
REMEDY = "Replace removed fields with VMSTATE_UNUSED, and send new fields in a subsection."
REFERENCES = (
    "QEMU 10.0.13 hw/scsi/esp.c vmstate_esp",
    "QEMU 7.2.22 hw/scsi/esp.c vmstate_esp",
)
MESSAGE = (
    "{difference}; the load fails, or succeeds with wrong values if the tests of {renamed} (source) and {to} "
    "(destination) differ"
)
ERROR = "{missing_footer}"
