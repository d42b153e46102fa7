"""Bytes that add up only if a renamed field's test answers differently on both sides; then the values are wrong."""

VERDICT = "breaks"
WHY = (
    "Either the end of the section is not where it is expected, and the load fails; or a field that is sent by one "
    "side is not read by the other, the bytes add up, no error tells, and the fields after it are read from the "
    "wrong place."
)
EXAMPLE = (
    "esp from QEMU 10.0 to 7.2: mig_ti_cmd is not sent any more, but drq_state is: 7.2 reads ti_cmd and lun from "
    "lun and drq_state"
)
REMEDY = "Put VMSTATE_UNUSED where a field was, and new ones into a subsection."
REFERENCES = (
    "QEMU 10.0.13 hw/scsi/esp.c vmstate_esp",
    "QEMU 7.2.22 hw/scsi/esp.c vmstate_esp",
)
MESSAGE = (
    "{difference}; the load fails, or loads wrong values if the tests of {renamed} (source) and {to} (destination) "
    "differ"
)
ERROR = "{missing_footer}"
