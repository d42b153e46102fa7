"""vmdump.open: finds out which source is asked for, and opens it."""

from __future__ import annotations

import io
import os
import stat
import sys

from vmdump.errors import SourceError, VmdumpError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.sources.session import Session


def open(
    source: str | os.PathLike[str] | Session | None = None,
    *,
    machine: str | None = None,
    run: bool = False,
    root: str | os.PathLike[str] | None = None,
    host: HostProfile | None = None,
    module_dirs: tuple[str, ...] = (),
    timeout: float = 60.0,
    details: bool = True,
    cache: bool = True,
    report: Callable[[object], None] | None = None,
) -> DeviceDump:
    """The dump of a source.

    source is a path to a file that -dump-vmstate wrote, plain or compressed (gzip, xz, Zstandard), "-" for standard
    input; a QEMU binary, which is read without being run, or run with run=True; a Session; or None: vmdump's built-in
    devices and all modules. machine is for sources that have machines: a machine type's name or alias. module_dirs are
    searched for modules before QEMU's own places. For a binary that is read, root is a tree unpacked from packages, in
    which its modules and links are looked for, and host what it would find on its host. timeout, in seconds, is for a
    QEMU that is run. details=False reads no more of a QEMU binary than its own dump tells, which is quicker; else there
    are also the descriptions that are on no device class. cache=False reads a QEMU binary anew, and leaves the user's
    cache folder alone. report is told what goes wrong on the way without ending it: modules that do not load, defects
    of a binary, what a QEMU that is run says.

    Raises SourceError when the source can't be read, with the place of the error, and what Session.dump raises.

    >>> import vmdump
    >>> vmdump.open("x86_64.json.gz")
    Traceback (most recent call last):
    vmdump.errors.SourceError: x86_64.json.gz: No such file or directory
    >>> vmdump.open(machine="q35").machine
    'pc-q35-10.0'
    """
    if source is None or not isinstance(source, (str, os.PathLike)):
        from vmdump.sources.session import Session

        _refuse_image_options(root, host)
        if source is not None:
            return source.dump(machine)
        with Session(module_dirs=module_dirs, report=report) as session:
            return session.dump(machine)
    path = source_path(source, root)
    if run:
        _refuse_image_options(root, host)
        from vmdump.sources.qemu_process import run_qemu

        return run_qemu(path, machine=machine, module_dirs=module_dirs, timeout=timeout, report=report)
    if is_binary(path):
        from vmdump.sources.image_cache.cache import open_image
        from vmdump.sources.qemu_image.options import ImageOptions

        options = ImageOptions(
            tuple(map(os.fspath, module_dirs)), details, None if root is None else os.fspath(root), host and tuple(host)
        )
        return open_image(path, options, report=report, cache=cache).dump(machine)
    _refuse_image_options(root, host)
    if machine is not None:
        raise VmdumpError(f"{path}: a dump file is of one machine; a machine can be chosen of a QEMU binary")
    from vmdump.sources.dump_file import open_dump_file, read_dump_file

    if path == "-":
        if sys.stdin is None:
            raise SourceError("stdin is closed; give the source as a file")
        return read_dump_file(sys.stdin.buffer, "<stdin>")  # type: ignore[arg-type]  # a BufferedReader
    return open_dump_file(path)


def _refuse_image_options(*options: object) -> None:
    if any(option is not None for option in options):
        raise VmdumpError("root and host are for a QEMU binary that is read without being run")


def source_path(path: str | os.PathLike[str], root: str | os.PathLike[str] | None) -> str:
    """Where a source that is named on this system is; root: a tree that it may be in. Raises SourceError."""
    if root is None:
        return os.fspath(path)
    from vmdump.sources.sysroot import followed

    return followed(path, root)


def is_binary(path: str) -> bool:
    """Whether there is an ELF file at path: a QEMU, not a dump. Of pipes nothing is read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with io.open(path, "rb") as file:  # noqa: UP020 - `open` is this module's own here
            return file.read(4) == b"\x7fELF"
    except (OSError, ValueError):
        return False  # whoever reads it says what is wrong
