"""Sessions and vmdump.open: the start-up path through the public API."""

import threading
from pathlib import Path

import pytest
from support.dumps import read_real_dump

import vmdump
from vmdump.errors import ModuleError, QOMError, VmdumpError, VMStateError
from vmdump.modules.model import ModuleInfo, ModuleState
from vmdump.vmstate import VMSTATE_UINT32, VMStateDescription

MODULE = """
from vmdump import TypeInfo
from vmdump.vmstate import VMSTATE_UINT8, VMStateDescription

VMDUMP_STAMP = 1
module_info = {"objs": ["my-device"]}

def class_init(klass, data):
    klass.vmsd = VMStateDescription("my-device", version_id=7, fields=[VMSTATE_UINT8("x", None)])

def vmdump_module_init(types):
    types.type_register(TypeInfo("my-device", parent="device", class_init=class_init))
"""


def bare(**kwargs: object) -> vmdump.Session:
    """A session with only the base types."""
    return vmdump.Session(builtin=False, entry_points=False, **kwargs)  # type: ignore[arg-type]


def add_device(session: vmdump.Session, name: str, vmsd: VMStateDescription | None, **info: object) -> None:
    """Register a device type."""

    def class_init(klass: vmdump.DeviceClass, data: object) -> None:
        klass.vmsd = vmsd

    session.type_register(vmdump.TypeInfo(name, class_init=class_init, **{"parent": "device", **info}))  # type: ignore[arg-type]


VMSD = VMStateDescription("x", version_id=1, fields=[VMSTATE_UINT32("x", None)])


def test_builtin_devices_are_qemus() -> None:
    """Every section of the default dump equals QEMU 10.0's, byte for byte."""
    real = read_real_dump("10.0.13", "x86_64")
    dump = vmdump.open()
    text = dump.to_bytes()
    assert len(dump) >= 15
    # A dump is a sequence of sections of known size, each of which is in the real dump verbatim.
    for section in text.removesuffix(b"\n}\n").split(b"\n  },\n")[1:]:
        assert section.removesuffix(b"\n  }") + b"\n  }" in real
    assert dump.producer.kind == "registry"


def test_machines() -> None:
    """The default machine, a name, an alias, and none; an unknown one is an error with a hint."""
    assert vmdump.open().machine == "pc-i440fx-10.0"
    assert vmdump.open(machine="q35").machine == "pc-q35-10.0"
    assert vmdump.open(machine="isapc").machine == "isapc"
    assert bare().dump().machine == "none"
    assert bare().dump("none").machine == "none"
    with pytest.raises(VmdumpError, match="unsupported machine type 'bbc-micro'; use -M help"):
        vmdump.open(machine="bbc-micro")


def test_abstract_and_inherited() -> None:
    """Abstract classes are dumped; children inherit the description; None removes it."""
    session = bare()
    add_device(session, "base", VMSD, abstract=True)
    session.type_register(vmdump.TypeInfo("child", parent="base"))
    add_device(session, "without", None, parent="base")
    dump = session.dump()
    assert sorted(dump) == ["base", "child"]
    assert dump["child"].parents == ("base", "device", "object")
    assert (dump["base"].abstract, dump["child"].abstract) == (True, False)
    assert dump["child"].vmsd is VMSD


def test_sessions_are_apart() -> None:
    """Types registered in one session are unknown in another."""
    first, second = bare(), bare()
    add_device(first, "only-here", VMSD)
    assert list(first.dump()) == ["only-here"]
    assert list(second.dump()) == []


def test_errors_name_the_device() -> None:
    """A class_init that fails and a description that cannot be dumped are errors with the device's name."""
    session = bare()
    add_device(session, "too-long", VMStateDescription('quote"d'))
    with pytest.raises(VMStateError, match="'quote\"d'"):
        session.dump()
    session = bare()
    session.type_register(vmdump.TypeInfo("broken", parent="device", class_init=lambda klass, data: 1 / 0))
    with pytest.raises(QOMError, match=r"'broken'.*division by zero"):
        session.dump()
    session = bare()
    add_device(session, "no-description", "text")  # type: ignore[arg-type]
    with pytest.raises(VMStateError, match="device 'no-description': vmsd is str, not a VMStateDescription"):
        session.dump()


def test_module_by_path(tmp_path: Path) -> None:
    """A module given by path declares its types, and its devices have its name."""
    (tmp_path / "mine.py").write_text(MODULE)
    session = bare(modules=[tmp_path / "mine.py"])
    (row,) = session.modules.states()
    assert (row.name, row.objs, row.state) == ("mine", ("my-device",), ModuleState.NOT_LOADED)
    dump = session.dump()
    assert dump["my-device"].module == "mine"
    assert dump["my-device"].version_id == 7


def test_module_dir_and_arch(tmp_path: Path) -> None:
    """Modules of a directory are loaded only for their architecture."""
    (tmp_path / "mine.py").write_text(MODULE.replace('"objs"', '"arch": "s390x", "objs"'))
    assert list(bare(module_dirs=[tmp_path]).dump()) == []
    assert list(bare(module_dirs=[tmp_path], arch=None).dump()) == []
    assert list(bare(module_dirs=[tmp_path], arch="s390x").dump()) == ["my-device"]


def test_row_with_a_path(tmp_path: Path) -> None:
    """A row may have any path, and precedes a module of that name in a directory."""
    (tmp_path / "elsewhere.py").write_text(MODULE)
    (tmp_path / "mods").mkdir()
    (tmp_path / "mods" / "mine.py").write_text(MODULE.replace("version_id=7", "version_id=8"))
    row = ModuleInfo("mine", objs=("my-device",), path=str(tmp_path / "elsewhere.py"))
    session = bare(modules=[row], module_dirs=[tmp_path / "mods"])
    assert session.dump()["my-device"].version_id == 7


def test_on_demand(tmp_path: Path) -> None:
    """A parent type is loaded from its module."""
    (tmp_path / "mine.py").write_text(MODULE)
    session = bare(module_dirs=[tmp_path])
    session.type_register(vmdump.TypeInfo("child", parent="my-device"))
    assert session.types.module_object_class_by_name("child").get_name() == "child"
    assert sorted(session.dump()) == ["child", "my-device"]


def test_failing_modules_are_reported(tmp_path: Path) -> None:
    """Each failing module is reported once, and the dump continues."""
    (tmp_path / "bad.py").write_text(MODULE.replace("VMDUMP_STAMP = 1", "VMDUMP_STAMP = 2"))
    (tmp_path / "worse.py").write_text("VMDUMP_STAMP = (")
    (tmp_path / "good.py").write_text(MODULE)
    reported: list[ModuleError] = []
    session = bare(module_dirs=[tmp_path], report=reported.append)
    assert list(session.dump()) == ["my-device"]
    assert len(reported) == 2
    assert reported == session.modules.errors
    assert any("worse.py:1" in str(error) for error in reported)
    session.dump()
    assert len(reported) == 2


@pytest.mark.parametrize("name", ["missing.py", "no-module.py", "no-module.txt"])
def test_path_that_is_no_module(name: str, tmp_path: Path) -> None:
    """A path that is not a module is an error."""
    if name != "missing.py":
        (tmp_path / name).write_text("x = 1\n")
    with pytest.raises(ModuleError, match=str(tmp_path / name)):
        bare(modules=[tmp_path / name])


def test_close_runs_finish(tmp_path: Path) -> None:
    """A session as a context manager finishes its modules at exit."""
    mark = tmp_path / "finished"
    (tmp_path / "mine.py").write_text(MODULE + f"\ndef vmdump_module_finish():\n    open({str(mark)!r}, 'w').close()\n")
    with bare(module_dirs=[tmp_path]) as session:
        session.dump()
        assert not mark.exists()
    assert mark.exists()


def test_dump_from_threads() -> None:
    """Threads may dump one session concurrently."""
    session = vmdump.Session(entry_points=False)
    dumps: list[bytes] = []
    threads = [threading.Thread(target=lambda: dumps.append(session.dump("q35").to_bytes())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(dumps) == 6
    assert len(set(dumps)) == 1


def test_public_names() -> None:
    """The public names are exactly these, and each has a docstring."""
    for name in vmdump.__all__:
        assert getattr(vmdump, name).__doc__ or name == "__version__", name
    assert set(vmdump.__all__) <= set(dir(vmdump))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vmdump.nothing


def test_dumps_see_what_changes_between_them() -> None:
    """A dump has types registered since the last one, none that were rolled back, and the current vmsd."""
    session = bare()
    add_device(session, "one", VMSD)
    assert list(session.dump()) == ["one"]
    add_device(session, "two", VMSD)
    assert set(session.dump()) == {"one", "two"}
    with pytest.raises(ValueError, match="broken"), session.types.registration():
        add_device(session, "three", VMSD)
        assert set(session.dump()) == {"one", "two", "three"}
        raise ValueError("broken")
    add_device(session, "four", VMSD)
    assert set(session.dump()) == {"one", "two", "four"}
    klass = session.types.object_class_by_name("one")
    klass.vmsd = None
    assert set(session.dump()) == {"two", "four"}
    klass.vmsd = VMStateDescription("y", version_id=9)
    assert session.dump()["one"].version_id == 9
