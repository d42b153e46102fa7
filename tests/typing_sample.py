"""A newcomer's session with vmdump, as mypy --strict sees it. Run by tests/test_api.py, too: all of it works."""

import sys
from pathlib import Path
from typing import assert_type

import vmdump
from vmdump.vmstate import VMStateDescription, VMStateField


def session(old: Path, new: Path) -> None:
    """Open two dumps, look at a device, check and lint."""
    dump = vmdump.open(new)
    assert_type(dump, vmdump.DeviceDump)
    device = dump["e1000"]
    assert_type(device, vmdump.Device)
    assert_type(device.version_id, int)
    assert_type(device.vmsd, VMStateDescription)
    assert_type(device.vmsd_name, str)
    assert_type(device.parents, tuple[str, ...] | None)
    for each in device.walk("*irq*"):
        assert_type(each, vmdump.WalkedField)
        assert_type(each.path, str)
        assert_type(each.field, VMStateField)
        assert_type(each.description, VMStateDescription)
        assert_type(each.conditions, tuple[str, ...])
        print(each.path, each.field.size, each.conditions)
    for found in dump.find("0000:00:03.0/e1000"):
        print(found.name, found.vmsd.version_id, len(list(found.walk())))
    for alone in dump.standalone:
        assert_type(alone, vmdump.StandaloneVMState)
        assert_type(alone.uses, tuple[str, ...])
    assert_type(dump.to_bytes(engine=vmdump.Engine.STDIO), bytes)
    dump.write(new.with_suffix(".copy"))
    assert vmdump.open(new.with_suffix(".copy")) == dump

    result = vmdump.check(old, dump, types=["e1000*"], directions="forward")
    assert_type(result, vmdump.CheckResult)
    for finding in result.findings:
        assert_type(finding, vmdump.Finding)
        assert_type(finding.verdict, vmdump.Verdict)
        assert_type(finding.condition, str | None)
        print(finding.verdict, finding.type, finding.message)
    for direction, types in result.results.items():
        assert_type(direction, str)
        print(direction, max((each.verdict for each in types), key=vmdump.Verdict.severity))
    for defect in vmdump.lint(dump):
        assert_type(defect, vmdump.Finding)
        print(defect.rule, defect.path)


def options(binary: Path, tree: Path) -> None:
    """Type-checked only: the options of vmdump.open for QEMU binaries, and a Session."""
    host = vmdump.HostProfile(memfd=False)
    vmdump.open(binary, machine="q35", sysroot=tree, host=host, module_dirs=[tree / "modules"], report=print)
    with vmdump.Session(module_dirs=[tree]) as registry:
        assert_type(vmdump.open(registry, machine="pc"), vmdump.DeviceDump)
    machines = vmdump.open(binary).machines
    assert_type(machines, vmdump.Machines)
    board = machines["pc-q35-7.2"]
    assert_type(board, vmdump.MachineType)
    assert_type(board.ram_size, int | None)
    for block in board.ram_blocks:
        assert_type(block.name, str)
        assert_type(block.size, int)
    for each in machines.properties("e1000e", "pc-q35-5.2").properties:
        assert_type(each.set_by, str)
    result = vmdump.migrate(binary, binary, machines="microvm", devices=["virtio-rng-device"])
    assert_type(result, vmdump.MigrateResult)
    for case in result.cases:
        assert_type(case, vmdump.Case)
        assert_type(case.outcome, str)
        print(case.device, [failure.cause for failure in case.failures], [change.field for change in case.changes])
    try:
        vmdump.open(binary)
    except (vmdump.SourceError, vmdump.VmdumpError) as error:
        print(error)


if __name__ == "__main__":
    session(Path(sys.argv[1]), Path(sys.argv[2]))
