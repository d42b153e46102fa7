"""vmdump.open: determine the kind of a source, and open it."""

from __future__ import annotations

import io
import os
import stat
import sys

from vmdump.errors import SourceError, VmdumpError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.sources.session import Session


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
    """Open a source and return its DeviceDump, a mapping from QOM type name to Device.

    Args:
        source: the path of a dump file (plain, gzip, xz or Zstandard; "-" for standard input) or of a QEMU binary; a
            Session; or None for the built-in devices and all modules.
        machine: name or alias of a machine type. Not for dump files, which describe one machine.
        run: run the QEMU binary with -dump-vmstate. Default: read it without running it.
        sysroot: directory of an unpacked system, in which links and modules of a QEMU binary are looked up.
        host: what the host offers to a QEMU binary that is read; see `HostProfile`.
        module_dirs: directories that are searched for modules before QEMU's own. Not for dump files and Sessions.
        timeout: seconds that reading or running a QEMU binary may take.
        max_size: limit of a dump file's decompressed size in bytes. Default: 1 GiB, and 200 times its compressed size.
        details: False reads only what QEMU's own dump contains, which is faster. Default: also read standalone
            descriptions and the metadata of the extended form.
        cache: False reads a QEMU binary again, and does not write to the cache in ~/.cache/vmdump.
        report: called with each warning: modules that do not load, defects of a binary, stderr of a QEMU that is run.
            Default: they are logged to the logger "vmdump".
        root: deprecated name of sysroot.

    Raises SourceError, with the position of the error, if the source can't be read; VmdumpError for an unknown machine
    type, and for arguments that do not apply to the source; what `Session.dump` raises.

    >>> import vmdump
    >>> vmdump.open(machine="q35")
    <DeviceDump of 'pc-q35-10.0': 64 devices>
    >>> vmdump.open("x86_64.json.gz")
    Traceback (most recent call last):
    vmdump.errors.SourceError: x86_64.json.gz: No such file or directory
    """
    if root is not None:
        sysroot = _sysroot_of(root, sysroot)
    if report is None:
        from vmdump.notices import log_warning

        report = log_warning
    if source is None or not isinstance(source, (str, os.PathLike)):
        _refuse("a QEMU binary or a dump file", run=run or None, sysroot=sysroot, host=host, max_size=max_size)
        if source is not None:
            _refuse("any source but a Session, which has its own", module_dirs=module_dirs or None)
            return source.dump(machine)
        from vmdump.sources.session import Session

        with Session(module_dirs=module_dirs, report=report) as session:
            return session.dump(machine)
    path = source_path(source, sysroot)
    if run:
        _refuse("a QEMU binary that is read, not run", sysroot=sysroot, host=host)
        from vmdump.sources.qemu_process import run_qemu

        directories = tuple(os.fspath(each) for each in module_dirs)
        return run_qemu(path, machine=machine, module_dirs=directories, timeout=timeout, report=report)
    if is_binary(path):
        from vmdump.sources.image_cache.cache import open_image
        from vmdump.sources.qemu_image.options import ImageOptions

        options = ImageOptions(
            tuple(os.fspath(each) for each in module_dirs),
            details,
            None if sysroot is None else os.fspath(sysroot),
            host and tuple(host),
        )
        return open_image(path, options, report=report, cache=cache, timeout=timeout).dump(machine)
    _refuse("a QEMU binary", path, sysroot=sysroot, host=host, module_dirs=module_dirs or None)
    if machine is not None:
        raise VmdumpError(f"{path}: a dump file describes one machine; machine= applies to QEMU binaries only")
    from vmdump.sources.dump_file import open_dump_file, read_dump_file

    if path == "-":
        if sys.stdin is None:
            raise SourceError("stdin is closed; give the source as a file")
        return read_dump_file(sys.stdin.buffer, "<stdin>", max_size)  # type: ignore[arg-type]  # a BufferedReader
    return open_dump_file(path, max_size)


def _sysroot_of(root: str | os.PathLike[str], sysroot: object) -> str | os.PathLike[str]:
    """Return the value of the deprecated root=."""
    from vmdump.notices import warn_deprecated

    if sysroot is not None:
        raise TypeError("root= is the deprecated name of sysroot=; give only sysroot=")
    warn_deprecated("root=", "sysroot=", stacklevel=4)
    return root


def _refuse(applies_to: str, path: str | None = None, **arguments: object) -> None:
    """Raise VmdumpError for an argument that does not apply to the source. None: the argument was not given."""
    given = " and ".join(f"{name}=" for name, value in arguments.items() if value is not None)
    if given:
        where = f"{path}: " if path is not None else ""
        raise VmdumpError(f"{where}{given} can't be used with this source, but only with {applies_to}")


def source_path(path: str | os.PathLike[str], sysroot: str | os.PathLike[str] | None) -> str:
    """Return the path of a source with its links resolved within sysroot, if given. Raises SourceError."""
    if sysroot is None:
        return os.fspath(path)
    from vmdump.sources.sysroot import followed

    return followed(path, sysroot)


def is_binary(path: str) -> bool:
    """Whether path is an ELF file, so a QEMU binary and not a dump. Pipes are not read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with io.open(path, "rb") as file:  # noqa: UP020 - `open` is this module's own here
            return file.read(4) == b"\x7fELF"
    except (OSError, ValueError):
        return False  # reading the source reports the error
