"""Real dumps, and fields that several tests of the check use."""

from support.descriptions import field
from support.dumps import read_real_dump
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.dump.tree import parse


def real_dump(version: str, target: str) -> DeviceDump:
    """Return a dump that QEMU wrote."""
    return DeviceDump(parse(read_real_dump(version, target)), Producer("file"))


A, B, C = field("a"), field("b"), field("c")
