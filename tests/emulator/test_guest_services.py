"""Files that an emulated QEMU sees: those of its tree, stand-ins, and the directories of its command line."""

from pathlib import Path

import pytest
from support.elf_builder import AARCH64, X86_64, elf_object
from support.guests import call
from support.macho_builder import CPU_ARM64, CPU_X86_64, TEXT, fat, macho_object
from support.macho_builder import Symbol as MachoSymbol
from support.pe_builder import pe_object

from vmdump._core import ffi
from vmdump.emulator import guest_services
from vmdump.emulator.guest import Guest
from vmdump.emulator.guest_services import GuestServices
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.machine_libraries import map_libraries
from vmdump.emulator.missing_files import advice
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

#: O_DIRECTORY of Linux on each architecture.
O_DIRECTORY = {X86_64: 0o200000, AARCH64: 0o40000}

FAILED = 2**64 - 1


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86_64", "aarch64"])
def guest(request: pytest.FixtureRequest) -> Guest:
    """A guest without services."""
    return Guest("guest", request.param)


@pytest.fixture
def services(tmp_path: Path) -> GuestServices:
    """Files of a tree with a binary and a ROM."""
    for name in ("usr/bin/qemu-system-x86_64", "usr/share/qemu/known.rom", "usr/share/qemu/other.rom"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"contents")
    return GuestServices("/usr/bin/qemu-system-x86_64", tmp_path)


def mode(guest: Guest, buffer: int) -> int:
    """Return st_mode of a struct stat."""
    return int.from_bytes(guest.read(buffer + (24 if guest.arch == X86_64 else 16), 4), "little")


def test_directories(guest: Guest, services: GuestServices, tmp_path: Path) -> None:
    """A path of the command line is an empty directory, whatever the real host has there."""
    (tmp_path / "file").touch()
    shared = str(tmp_path)
    services.attach(guest)
    assert call(guest, "open", shared, O_DIRECTORY[guest.arch]) == FAILED
    services.add_directories(["-fsdev", f"local,id=fs0,path={shared},security_model=none"])
    directory = call(guest, "open", shared, O_DIRECTORY[guest.arch])
    assert directory != FAILED
    buffer = guest.alloc(256)
    assert call(guest, "fstat", directory, buffer) == 0
    assert mode(guest, buffer) == 0o40755
    for path in (".", ""):
        assert call(guest, "fstatat64", directory, path, buffer, 0) == 0
        assert mode(guest, buffer) == 0o40755
    again = call(guest, "openat", directory, ".", O_DIRECTORY[guest.arch])
    assert again not in (FAILED, directory)
    for path in ("file", "..", "../file"):
        assert call(guest, "openat", directory, path, 0) == FAILED
        assert call(guest, "fstatat64", directory, path, buffer, 0) == FAILED
    assert call(guest, "lstat", shared, buffer) == 0
    assert call(guest, "access", shared, 4) == 0
    assert (call(guest, "g_file_test", shared, 4), call(guest, "g_file_test", shared, 1)) == (1, 0)
    assert call(guest, "open", shared, 0) == FAILED
    assert call(guest, "open", f"{shared}/file", 0) == FAILED
    assert services.requested[shared] in ("stand-in", "missing")
    assert call(guest, "fstatfs", call(guest, "dup", directory), buffer) == 0
    assert int.from_bytes(guest.read(buffer + 8, 8), "little") == 4096


@pytest.mark.parametrize(
    ("opens", "reads", "closes"),
    [("opendir", "readdir64", "closedir"), ("g_dir_open", "g_dir_read_name", "g_dir_close")],
)
def test_directory_streams(guest: Guest, services: GuestServices, opens: str, reads: str, closes: str) -> None:
    """The directory that every host has is empty; streams are closed with their descriptors."""
    services.attach(guest)
    for _ in range(300):  # more than there are descriptors
        stream = call(guest, opens, "/vmdump", 0, 0)
        assert stream
        assert call(guest, reads, stream) == 0
        call(guest, closes, stream)
    assert call(guest, opens, "/tmp", 0, 0) == 0


@pytest.mark.parametrize("path", ["/", "/etc", "/dev", "/proc/self", "/usr/share/qemu", "/usr/share", "/sys/kernel"])
def test_paths_of_the_system(services: GuestServices, path: str) -> None:
    """Paths of the system are no directories of the command line."""
    services.add_directories([f"path={path}", path])
    assert not services.is_directory(path)


def test_names_in_arguments(services: GuestServices) -> None:
    """Paths are found in words, values and JSON."""
    services.add_directories(['{"driver": "usb-mtp", "rootdir": "/json"}', "-L", "/word", "local,path=/value,id=a"])
    assert [services.is_directory(path) for path in ("/json", "/word/", "/value/.", "value", "/other")] == [
        True, True, True, True, False
    ]  # fmt: skip


def test_files_that_are_read_again(services: GuestServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is kept once, however its path is written; files in total, and paths, have a limit."""
    first = services.read_file("/usr/share/qemu/known.rom")
    assert bytes(ffi.buffer(first)) == b"contents"
    assert services.read_file("/usr/share/./qemu//known.rom") is first
    monkeypatch.setattr(guest_services, "_FILES_MAX", len(b"contents"))
    with pytest.raises(SourceError, match="it reads more than 0 MiB of files"):
        services.read_file("/usr/share/qemu/other.rom")
    monkeypatch.setattr(guest_services, "_REQUESTS_MAX", len(services.requested) + 1)
    assert services.is_directory("/vmdump")
    for request in (services.read_file, services.is_directory):
        with pytest.raises(SourceError, match="it looks for more than 4 files"):
            request("/./vmdump")


def test_requests_without_end(guest: Guest, services: GuestServices, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of paths is an error of the machine, also in a call of the guest."""
    services.attach(guest)
    monkeypatch.setattr(guest_services, "_REQUESTS_MAX", 1)
    for name in ("/usr/share/a", "/usr/share/b"):
        assert call(guest, "open", name, 0) == FAILED
    with pytest.raises(SourceError, match="it looks for more than 1 files"):
        services.raise_failure()


#: Objects by the host that they are for.
OBJECTS = {
    "x86-64 Linux": elf_object(),
    "AArch64 Linux": elf_object(machine=AARCH64),
    "AArch64 macOS": macho_object(),
    "x86-64 macOS": macho_object(cpu=CPU_X86_64),
    "x86-64 Windows": pe_object(),
}


@pytest.mark.parametrize("guest_host", ["x86-64 Linux", "AArch64 Linux"])
@pytest.mark.parametrize("host", OBJECTS)
def test_objects_of_other_hosts(guest_host: str, host: str, services: GuestServices, tmp_path: Path) -> None:
    """Modules and libraries in /usr/lib64 are mapped if they are for the binary's host, else refused by name."""
    guest = Guest("qemu", HostArch.X86_64 if guest_host.startswith("x86") else HostArch.AARCH64)
    services.attach(guest)
    services.set_scope([])
    for name in ("qemu-kvm/module.so", "libslirp.so.0"):
        path = tmp_path / "usr/lib64" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(OBJECTS[host])
    if host == guest_host:
        found = services.open_module("/usr/lib64/qemu-kvm/module.so", is_global=False)
        assert found is not None
        assert services.objects == [found[1]]
        assert len(map_libraries(guest, services)) == 1
        return
    error = f"it is for {host}, but qemu for {guest_host}; use the file that belongs to it"
    with pytest.raises(SourceError, match=f"^{tmp_path}/usr/lib64/qemu-kvm/module.so: {error}$"):
        services.open_module("/usr/lib64/qemu-kvm/module.so", is_global=False)
    with pytest.raises(SourceError, match=f"^{tmp_path}/usr/lib64/libslirp.so.0: {error}$"):
        map_libraries(guest, services)
    assert services.objects == []


@pytest.mark.parametrize("arch", [HostArch.X86_64, HostArch.AARCH64])
def test_libraries_for_several_cpus(arch: HostArch, services: GuestServices, tmp_path: Path) -> None:
    """Of a library for several CPUs the part for the binary's is mapped."""
    guest = Guest("qemu", arch, platform=Platform.MACOS)
    services.attach(guest)
    (tmp_path / "usr/lib").mkdir()
    parts = (
        (CPU_ARM64, 0, macho_object(symbols=[MachoSymbol(b"_arm", TEXT)])),
        (CPU_X86_64, 3, macho_object(cpu=CPU_X86_64)),
    )
    (tmp_path / "usr/lib/libslirp.0.dylib").write_bytes(fat(*parts))
    (library,) = map_libraries(guest, services)
    assert ("arm" in library.symbols) == (arch == HostArch.AARCH64)


def test_advice(services: GuestServices, tmp_path: Path) -> None:
    """A missing file or library is named, with its package if known, and how to provide it."""
    services.read_file("/usr/share/qemu/known.rom")
    for path in ("/usr/share/qemu/slof.bin", "/usr/share/qemu/other.bin"):
        services.read_file(path)
    ending = "or name a complete tree with --root"
    assert advice(services, "Could not find LPAR firmware 'slof.bin'", []) == (
        f"slof.bin is missing from the tree {tmp_path}: unpack its package (Debian: qemu-system-data) there, {ending}"
    )
    assert advice(services, "could not find stage1 bootloader", []) == (
        f"other.bin is missing from the tree {tmp_path}: add it there, {ending}"
    )
    assert advice(services, "Couldn't get phandle for /cpus/cpu@0", ["fdt_path_offset"]) == (
        f"libfdt.so.1 is missing from the tree {tmp_path}: unpack its package (Debian: libfdt1) there, {ending}"
    )
    for message in ("unsupported machine type", "known.rom is too large", f"{services.name}: no accelerator"):
        assert advice(services, message, ["g_some_function"]) is None


def test_advice_without_a_tree(tmp_path: Path) -> None:
    """A binary outside of a tree has no files."""
    services = GuestServices(tmp_path / "qemu-system-s390x", None)
    services.read_file("/usr/share/qemu/s390-ccw.img")
    assert advice(services, "could not find stage1 bootloader", []) == (
        "QEMU's files (s390-ccw.img) are looked for in its tree, but it is in no tree: name its tree with --root"
    )


def test_files_of_windows(tmp_path: Path) -> None:
    """A program for Windows has the folder share and libraries beside it, by paths with either slash; nothing else."""
    binary = tmp_path / "qemu-system-x86_64.exe"
    (tmp_path / "share").mkdir()
    for name in ("share/slof.bin", "libfdt-1.dll", "other.txt"):
        (tmp_path / name).write_bytes(name.encode())
    services = GuestServices(binary, None)
    services.attach(Guest("guest", HostArch.X86_64, platform=Platform.WINDOWS))
    content = services.read_file("\\usr\\bin/share/slof.bin")
    assert content is not None
    assert bytes(ffi.buffer(content)) == b"share/slof.bin"
    assert services.resolve("/usr/bin/libfdt-1.dll") == str(tmp_path / "libfdt-1.dll")
    for path in ("/usr/bin/other.txt", "\\usr\\bin\\share\\..\\other.txt", "/usr/share/slof.bin"):
        assert services.read_file(path) is None
    assert services.is_directory("\\usr\\bin")
