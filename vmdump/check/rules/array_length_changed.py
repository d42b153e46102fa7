"""An array has a different number of elements in the destination."""

VERDICT = "breaks"
WHY = (
    "The stream does not carry the number of elements. The destination reads as many as its own description declares, "
    "so everything after the array is read from the wrong offset."
)
EXAMPLE = "usb_dwc3: regs has 333 elements in QEMU 7.2 and 384 in 10.0: `Missing section footer for usb-dwc3`"
REMEDY = (
    "Keep the array's length, and send the new elements in a subsection. Raising version_id and minimum_version_id "
    "does not make the stream loadable, but QEMU then reports the cause."
)
REMEDY_NESTED = "Keep the array's length, and send the new elements in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_n_elems",)
MESSAGE = "{difference}"
ERROR = "{missing_footer}"
