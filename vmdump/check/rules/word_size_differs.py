"""A field has the size of a pointer or a timer, on hosts of unlike word sizes."""

VERDICT = "unknown"
WHY = (
    "QEMU's own dump tells of a field its size in memory. Of a pointer or a timer that is the host's business: 4 or "
    "32 bytes on a 32-bit host, 8 or 48 on a 64-bit one, and what is sent is the same. But a number that has grown "
    "from 4 to 8 bytes looks no different."
)
EXAMPLE = "frame_timer of uhci: 4 bytes in a dump of QEMU for i386, 8 in one for amd64"
REMEDY = "Compare dumps of hosts of one word size."
REFERENCES = (
    "QEMU 10.0.13 migration/savevm.c dump_vmstate_vmsf",
    "QEMU 10.0.13 include/migration/vmstate.h VMSTATE_TIMER_PTR_TEST",
)
MESSAGE = (
    "not compared: {field} has {size} bytes in memory here and {other_size} there, as a pointer or a timer has on "
    "hosts of unlike word sizes; what is sent for such is the same on both"
)
