"""Identifies a source and opens it: vmdump.open for Python, identify and load for the command line and vmdump bulk."""

from __future__ import annotations

import io
import os
import stat
import sys

from vmdump.errors import SourceError, VmdumpError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.machines.mapping import Machines
    from vmdump.sources.image_cache import Image
    from vmdump.sources.session import Session

#: Kinds of sources: vmdump's own devices, a Session, a dump file, a QEMU binary that is read, one that is run, a saved
#: VM.
BUILTIN, SESSION, DUMP, BINARY, PROCESS, STREAM = "builtin", "session", "dump", "binary", "process", "stream"

_NAMES = {
    BUILTIN: "the built-in devices", SESSION: "a Session", DUMP: "dump files", BINARY: "QEMU binaries that are read",
    PROCESS: "QEMU binaries that are run", STREAM: "saved VMs",
}  # fmt: skip

#: Bytes that are read of a file: vmdump.files.file_kind.OBJECT_START, without importing that for a dump file.
_START = 8

#: First four bytes of saved VMs: a migration stream, libvirt's save, a qcow2 image, lzop, which dumps are not in.
_STREAMS = (b"QEVM", b"Libv", b"QFI\xfb", b"\x89LZO")

#: The options of `open` and of the command line that apply to some kinds only.
_OPTIONS = {
    BUILTIN: ("machine", "module_dirs", "module_dir", "module", "arch"),
    SESSION: ("machine",),
    DUMP: (),
    STREAM: (),
    BINARY: ("machine", "module_dirs", "module_dir", "root", "sysroot", "host"),
    PROCESS: ("machine", "module_dirs", "module_dir", "run"),
}


def open(
    source: str | os.PathLike[str] | Session | None = None,
    *,
    machine: str | None = None,
    run: bool = False,
    sysroot: str | os.PathLike[str] | None = None,
    host: HostProfile | None = None,
    module_dirs: Sequence[str | os.PathLike[str]] = (),
    timeout: float = 60.0,
    max_size: int | None = None,
    details: bool = True,
    cache: bool = True,
    report: Callable[[object], None] | None = None,
    root: str | os.PathLike[str] | None = None,
) -> DeviceDump:
    """Return the dump of a source.

    Args:
        source: the path of a dump file, plain or compressed (gzip, xz, Zstandard), or "-" for standard input; the path
            of a QEMU binary, which is read without being run, or of a saved VM; a Session; or None for the built-in
            devices and all modules.
        machine: a machine type's name or alias, for sources other than dump files.
        run: run the QEMU binary with -dump-vmstate instead of reading it.
        sysroot: for a binary that is read: the directory that its packages are unpacked in. Its modules and symbolic
            links are resolved within.
        host: for a binary that is read: the host features that QEMU detects at start-up.
        module_dirs: searched for modules before QEMU's own directories.
        timeout: for a QEMU binary, read or run; in seconds.
        max_size: the largest dump file accepted, decompressed, in bytes; None: 1 GiB, and at most 200 times the
            compressed size.
        details: for a binary that is read: False skips what QEMU's own dump does not contain, such as standalone
            VMSDs, and is faster.
        cache: False neither uses nor updates the user's cache of parsed binaries.
        report: called with every problem that does not end the reading: modules that fail to load, defects of a
            binary, messages of a QEMU that is run, a cache that cannot be used. Default: the logger "vmdump".
        root: deprecated name of sysroot.

    Raises:
        SourceError: the source cannot be read.
        VmdumpError: an option does not apply to this kind of source; or as Session.dump raises.
        TypeError: source is none of these.

    >>> import vmdump
    >>> vmdump.open("x86_64.json.gz")
    Traceback (most recent call last):
    vmdump.errors.SourceError: x86_64.json.gz: No such file or directory
    >>> vmdump.open(machine="q35")
    <DeviceDump of 'pc-q35-10.0': 64 devices>
    """
    if root is not None:
        sysroot = _sysroot_of(root, sysroot)
    if report is None:
        from vmdump.notices import log_warning

        report = log_warning
    if source is None:
        kind, path = BUILTIN, ""
    elif isinstance(source, (str, os.PathLike)):
        kind, path = identify(source, root=sysroot, run=run)
    else:
        from vmdump.sources.session import Session

        if not isinstance(source, Session):
            raise TypeError(
                f"source must be a path (str or os.PathLike), a Session or None, not {type(source).__name__}"
            )
        kind, path = SESSION, ""
    directories = tuple(os.fspath(each) for each in module_dirs)
    options = {"machine": machine, "run": run, "sysroot": sysroot, "host": host, "module_dirs": directories}
    unused = inapplicable([kind], (name for name, value in options.items() if value not in (None, False, ())))
    if unused is not None:
        option, names = unused
        raise VmdumpError((f"{path}: " if path else "") + f"{option}= does not apply to {names}")
    if kind == SESSION:
        return source.dump(machine)  # type: ignore[union-attr]
    if kind == BUILTIN:
        from vmdump.sources.session import Session

        with Session(module_dirs=directories, report=report) as session:
            return session.dump(machine)
    loaded = load(
        kind, path, machine=machine, root=sysroot, host=host, module_dirs=directories, timeout=timeout,
        max_size=max_size, details=details, cache=cache, report=report,
    )  # fmt: skip
    if kind != BINARY:
        return loaded  # type: ignore[return-value]
    dump = loaded.dump(machine)  # type: ignore[union-attr]
    dump.set_machines(lambda: _machines(path, sysroot, host, timeout, cache, report))
    return dump


def _machines(
    path: str,
    sysroot: str | os.PathLike[str] | None,
    host: HostProfile | None,
    timeout: float,
    cache: bool,
    report: Callable[[object], None] | None,
) -> Machines:
    from vmdump.machines.mapping import open_machines

    return open_machines(path, sysroot=sysroot, host=host, timeout=timeout, cache=cache, report=report)


def _sysroot_of(root: str | os.PathLike[str], sysroot: object) -> str | os.PathLike[str]:
    """Return the value of the deprecated root=."""
    from vmdump.notices import warn_deprecated

    if sysroot is not None:
        raise TypeError("root= is the deprecated name of sysroot=; give only sysroot=")
    warn_deprecated("root=", "sysroot=", stacklevel=4)
    return root


def identify(
    source: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, run: bool = False
) -> tuple[str, str]:
    """Return the kind of the source at a path (DUMP, BINARY, PROCESS or STREAM), and the path with links below root
    resolved.

    With run, binaries, scripts and names without a file, which are looked up in $PATH, are a PROCESS. Only regular
    files are opened; any other file is a DUMP, whose reader reports the problem. Raises SourceError for an invalid
    root.
    """
    path = os.fspath(source)
    if root is not None:
        from vmdump.files.sysroot import followed

        path = followed(path, root)
    start = _first_bytes(path)
    if start[:1] == b"{":
        return DUMP, path
    if run and (start.startswith((b"\x7fELF", b"#!")) or not (path == "-" or os.path.lexists(path))):
        return PROCESS, path
    if _is_executable(start):
        return BINARY, path
    return (STREAM if start[:4] in _STREAMS else DUMP), path


def is_binary(path: str) -> bool:
    """Return whether there is an executable at path, of any system."""
    return _is_executable(_first_bytes(path))


def _is_executable(start: bytes) -> bool:
    from vmdump.files.file_kind import object_format

    return object_format(start) is not None


def _first_bytes(path: str) -> bytes:
    """Return the first bytes of a regular file; b"" for anything else, which is not opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with io.open(path, "rb") as file:  # noqa: UP020 - `open` is this module's own here
            return file.read(_START)
    except (OSError, ValueError):
        return b""  # whatever opens the file next reports the error


def inapplicable(kinds: Iterable[str], options: Iterable[str]) -> tuple[str, str] | None:
    """Return the first option that applies to none of the kinds, and the kinds in words; None if all apply.

    >>> inapplicable([DUMP], ["machine"])
    ('machine', 'dump files')
    """
    known = list(dict.fromkeys(kinds))
    for option in options:
        if not any(option in _OPTIONS[kind] for kind in known):
            return option, " or ".join(_NAMES[kind] for kind in known)
    return None


def load(
    kind: str,
    path: str,
    *,
    machine: str | None = None,
    root: str | os.PathLike[str] | None = None,
    host: HostProfile | None = None,
    module_dirs: tuple[str, ...] = (),
    timeout: float = 60.0,
    max_size: int | None = None,
    details: bool = True,
    cache: bool = True,
    report: Callable[[object], None] | None = None,
    stdin: io.BufferedReader | None = None,
) -> DeviceDump | Image:
    """Open a source that identify has found: the dump of a DUMP, PROCESS or STREAM, the Image of a BINARY.

    An image has its machine types, and makes a dump for each. The arguments are those of `open`; stdin is read for the
    path "-" (default: the process's own). Raises SourceError.
    """
    if kind == BINARY:
        from vmdump.sources.image_cache import open_image
        from vmdump.sources.image_options import ImageOptions

        options = ImageOptions(
            tuple(map(os.fspath, module_dirs)), details, None if root is None else os.fspath(root), host and tuple(host)
        )
        return open_image(path, options, report=report, cache=cache, timeout=timeout)
    if kind == PROCESS:
        from vmdump.sources.qemu_process import run_qemu

        return run_qemu(path, machine=machine, module_dirs=module_dirs, timeout=timeout, report=report)
    if kind == STREAM:
        from vmdump.files.decompress import Limits
        from vmdump.stream.stream_dump import StreamDump
        from vmdump.stream.walk import read_saved_vm

        return StreamDump(read_saved_vm(path, limits=None if max_size is None else Limits(max_size, None)))
    from vmdump.sources.dump_file import CompressedStreamError, open_dump_file, read_dump_file

    if path != "-":
        try:
            return open_dump_file(path, max_size)
        except CompressedStreamError:
            return load(STREAM, path, max_size=max_size)
    if stdin is None and sys.stdin is None:
        raise SourceError("stdin is closed; give the source as a file")
    return read_dump_file(stdin or sys.stdin.buffer, "<stdin>", max_size)  # type: ignore[arg-type]  # a BufferedReader
