"""A section sends memory that the device has never written."""

VERDICT = "safe"
LEVEL = "notice"
WHY = (
    "The section depends on what malloc returned: the stream contains whatever the memory held before, such as "
    "pointers or text of the process, and differs between equal VMs. A VM was booted twice in the emulator, with "
    "different bytes in memory from malloc, and the saved sections were compared."
)
EXAMPLE = "imx.serial of imx25-pdk in QEMU 10.0: 128 of 184 bytes, the elements of a Fifo32 that was never filled"
REMEDY = "Allocate the memory with g_malloc0 or g_new0, or clear it on reset."
REFERENCES = ("QEMU 10.0.13 util/fifo8.c fifo8_create, migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "{section} sends {count} of {total} bytes from uninitialised memory under {machine}: {fields}"
