"""Dumps built from descriptions that a test declares, with full metadata as from a QEMU binary, or as a dump file."""

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
    """Return a field with one of QEMU's VMStateInfos; "unused" and buffers need a size."""
    size = more.pop("size", BYTES.get(info.removesuffix(" equal"), 0))
    return VMStateField(name, info=VMStateInfo(info), size=size, flags=more.pop("flags", VMStateFlags.SINGLE), **more)


def unused(size: int) -> VMStateField:
    """VMSTATE_UNUSED(size)."""
    return field("unused", "unused_buffer", size=size, flags=VMStateFlags.BUFFER)


def array(name: str, num: int, info: str = "uint32") -> VMStateField:
    """Return an array field of num elements."""
    return field(name, info, num=num, flags=VMStateFlags.ARRAY)


def varray(name: str, info: str = "uint32") -> VMStateField:
    """Return a variable-length array field, whose number of elements another member holds."""
    return field(name, info, flags=VMStateFlags.VARRAY_UINT32, num_offset=0)


def struct(name: str, vmsd: VMStateDescription, **more: Any) -> VMStateField:
    """Return a nested struct field; num makes it an array."""
    flags = VMStateFlags.STRUCT | (VMStateFlags.ARRAY if "num" in more else 0)
    return VMStateField(name, vmsd=vmsd, flags=flags, size=64, **more)


def validate(name: str) -> VMStateField:
    """VMSTATE_VALIDATE."""
    return VMStateField(name, flags=VMStateFlags.MUST_EXIST | VMStateFlags.ARRAY, field_exists=True)


def desc(name: str, *fields: VMStateField, **more: Any) -> VMStateDescription:
    """Return a description; version 1 by default."""
    more = {"version_id": 1, "minimum_version_id": 1, **more}
    return VMStateDescription(name, fields=fields, **more)


def dump(
    *descs: VMStateDescription, roots: tuple[tuple[VMStateDescription, str], ...] = (), **named: VMStateDescription
) -> DeviceDump:
    """Return a dump whose device types are named after their descriptions, or by keyword; roots maps standalone
    descriptions to their use.
    """
    types = [(each.name, each) for each in descs] + [(name.replace("_", "-"), each) for name, each in named.items()]
    tree = lower("none", types, detailed=True)
    if roots:
        other = lower("none", [(each.name, each) for each, _ in roots], detailed=True)
        tree.owners = (*tree.owners, other)
        tree.set_standalone(
            [(ffi.cast("struct vmd_desc *", other.native.devices[i].vmsd), None, [use], []) for i, (_, use) in
             enumerate(roots)]
        )  # fmt: skip
    return DeviceDump(tree, Producer("registry"))


def plain(what: DeviceDump) -> DeviceDump:
    """Return the dump without the metadata that QEMU's own dump format omits."""
    return DeviceDump(parse(what.to_bytes()), Producer("file"))


def findings(source: DeviceDump, destination: DeviceDump) -> list[Finding]:
    """Check source -> destination and return the findings."""
    result = check([Labelled("A", source), Labelled("B", destination)], directions=[(0, 1)])
    return [finding for each in result.results["A -> B"] for finding in each.findings]


def verdicts(source: DeviceDump, destination: DeviceDump) -> dict[str, Verdict]:
    """Check source -> destination and return the verdict of each type."""
    result = check([Labelled("A", source), Labelled("B", destination)], directions=[(0, 1)])
    return {each.type: each.verdict for each in result.results["A -> B"]}


def lint_rules(what: DeviceDump) -> list[str]:
    """Return the rule ids of the linter's findings."""
    return [each.rule for each in lint(Labelled("A", what))]


def rules(source: DeviceDump, destination: DeviceDump) -> list[str]:
    """Return the rule ids of the check's findings."""
    return [each.rule for each in findings(source, destination)]


__all__ = ["array", "desc", "dump", "field", "findings", "lint_rules", "plain", "rules", "struct", "unused", "validate",
           "varray", "verdicts"]  # fmt: skip
