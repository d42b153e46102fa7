"""A field of the size of a pointer or timer could not be compared, because the hosts' word sizes differ."""

VERDICT = "unknown"
WHY = (
    "-dump-vmstate prints a field's size in memory. A pointer or a timer has 4 or 32 bytes on a 32-bit host, 8 or 48 "
    "on a 64-bit one, although both hosts send the same bytes. A number that grew from 4 to 8 bytes looks the same."
)
EXAMPLE = "frame_timer of uhci: 4 bytes in a dump of QEMU for i386, 8 in one for amd64"
REMEDY = "Compare dumps from hosts of the same word size."
REFERENCES = (
    "QEMU 10.0.13 migration/savevm.c dump_vmstate_vmsf",
    "QEMU 10.0.13 include/migration/vmstate.h VMSTATE_TIMER_PTR_TEST",
)
MESSAGE = (
    "not compared: {field} has {size} bytes in memory in the source and {other_size} in the destination, like a "
    "pointer or timer on hosts of different word sizes, which send the same bytes"
)
