"""Dumps of descriptions that a test makes up, with all that a QEMU binary would tell of them; or as a dump file."""

from typing import Any

from vmdump._core import ffi
from vmdump.check.checker import Labelled, check
from vmdump.check.lint import lint
from vmdump.check.results import Finding, Verdict
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.producer import Producer
from vmdump.dump.tree import parse
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

BYTES = {"bool": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int64": 8, "timer": 8, "int32": 4}


def field(name: str, info: str = "uint32", **more: Any) -> VMStateField:
    """A field of one of QEMU's own types; "unused" and buffers need a size."""
    size = more.pop("size", BYTES.get(info.removesuffix(" equal"), 0))
    return VMStateField(name, info=VMStateInfo(info), size=size, flags=more.pop("flags", VMStateFlags.SINGLE), **more)


def unused(size: int) -> VMStateField:
    """VMSTATE_UNUSED(size)."""
    return field("unused", "unused_buffer", size=size, flags=VMStateFlags.BUFFER)


def array(name: str, num: int, info: str = "uint32") -> VMStateField:
    """An array of num elements."""
    return field(name, info, num=num, flags=VMStateFlags.ARRAY)


def varray(name: str, info: str = "uint32") -> VMStateField:
    """An array whose number of elements the device says."""
    return field(name, info, flags=VMStateFlags.VARRAY_UINT32, num_offset=0)


def struct(name: str, vmsd: VMStateDescription, **more: Any) -> VMStateField:
    """A nested struct; num makes it an array."""
    flags = VMStateFlags.STRUCT | (VMStateFlags.ARRAY if "num" in more else 0)
    return VMStateField(name, vmsd=vmsd, flags=flags, size=64, **more)


def validate(name: str) -> VMStateField:
    """VMSTATE_VALIDATE."""
    return VMStateField(name, flags=VMStateFlags.MUST_EXIST | VMStateFlags.ARRAY, field_exists=True)


def desc(name: str, *fields: VMStateField, **more: Any) -> VMStateDescription:
    """A description, version 1 unless said otherwise."""
    more = {"version_id": 1, "minimum_version_id": 1, **more}
    return VMStateDescription(name, fields=fields, **more)


def dump(
    *descs: VMStateDescription, roots: tuple[tuple[VMStateDescription, str], ...] = (), **named: VMStateDescription
) -> DeviceDump:
    """A dump whose device types are called as their descriptions, or as the keywords; roots: with how they are used."""
    types = [(each.name, each) for each in descs] + [(name.replace("_", "-"), each) for name, each in named.items()]
    tree = lower("none", types, detailed=True)
    if roots:
        other = lower("none", [(each.name, each) for each, _ in roots], detailed=True)
        tree.owners = (*tree.owners, other)
        tree.set_roots(
            [(ffi.cast("struct vmd_desc *", other.native.devices[i].vmsd), None, [use], []) for i, (_, use) in
             enumerate(roots)]
        )  # fmt: skip
    return DeviceDump(tree, Producer("registry"))


def plain(what: DeviceDump) -> DeviceDump:
    """What is left of a dump in a file as QEMU writes it."""
    return DeviceDump(parse(what.to_bytes()), Producer("file"))


def findings(source: DeviceDump, destination: DeviceDump) -> list[Finding]:
    """What the check says of source -> destination."""
    result = check([Labelled("A", source), Labelled("B", destination)], directions=[(0, 1)])
    return [finding for each in result.results["A -> B"] for finding in each.findings]


def verdicts(source: DeviceDump, destination: DeviceDump) -> dict[str, Verdict]:
    """The verdict of each type, source -> destination."""
    result = check([Labelled("A", source), Labelled("B", destination)], directions=[(0, 1)])
    return {each.type: each.verdict for each in result.results["A -> B"]}


def lint_rules(what: DeviceDump) -> list[str]:
    """The rules that the linter's findings are of."""
    return [each.rule for each in lint(Labelled("A", what))]


def rules(source: DeviceDump, destination: DeviceDump) -> list[str]:
    """The rules that the check's findings are of."""
    return [each.rule for each in findings(source, destination)]


__all__ = ["array", "desc", "dump", "field", "findings", "lint_rules", "plain", "rules", "struct", "unused", "validate",
           "varray", "verdicts"]  # fmt: skip
