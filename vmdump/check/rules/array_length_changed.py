"""An array has another number of elements in the destination."""

VERDICT = "breaks"
WHY = "The number does not travel; the destination reads as many elements as its own description says."
EXAMPLE = "usb_dwc3: regs has 333 elements in QEMU 7.2 and 384 in 10.0: `Missing section footer for usb-dwc3`"
REMEDY = (
    "Raise version_id and minimum_version_id, which tells at least what is wrong; or send the new elements in a "
    "subsection."
)
REMEDY_NESTED = "Keep the number of elements, and send new ones in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_n_elems",)
MESSAGE = "{difference}"
ERROR = "{missing_footer}"
