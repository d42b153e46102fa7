"""What was read from emulated machines, cached in the user's cache folder.

A machine takes seconds to boot and read, and the answer depends on nothing but the binary, its tree of files, QEMU's
arguments and the host profile. Entries are JSON beside those of vmdump/sources/image_cache.py, with the same
rules: an entry is valid as long as all files that QEMU requested, and vmdump's own code, are unchanged.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

import vmdump
from vmdump.cache.entries import NO_FOLDER, entry_name, fingerprints, is_current, report_unused
from vmdump.cache.folder import find_folder
from vmdump.errors import SourceError
from vmdump.signals import TimeOut, time_limit
from vmdump.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vmdump.cache.folder import CacheFolder
    from vmdump.machines.reader import Source

T = TypeVar("T")


class Answers:
    """Reads machines of a source, and remembers the results."""

    def __init__(
        self,
        source: Source,
        *,
        cache: bool = True,
        timeout: float | None = None,
        report: Callable[[object], None] | None = None,
    ) -> None:
        """Args:
        source: the binary.
        cache: False neither reads nor writes the cache.
        timeout: limit for each question, in seconds of wall-clock time; None: the emulator's.
        report: called once with the reason if the cache can't be used.
        """
        self.source, self._timeout, self._report = source, timeout, report
        self._folder = find_folder() if cache else None
        if cache:
            report_unused(self._folder.why_unused() if self._folder is not None else NO_FOLDER, report)
        self._identity: tuple[Any, ...] | None = None

    def get(self, question: Sequence[str], type_: type[T], compute: Callable[[], T], *, is_limited: bool = True) -> T:
        """Return the answer to a question, from the cache if possible.

        Args:
            question: what is read, and all arguments that it depends on.
            type_: type of the answer, which msgspec can encode.
            compute: reads the answer from machines of the source.
            is_limited: whether the time limit applies to compute as a whole; the emulator limits each machine.

        Raises:
            SourceError: as compute; or the time limit was exceeded.
        """
        import msgspec

        limit = self._limited if is_limited else contextlib.nullcontext
        if self._folder is None:
            with limit():
                return self._ask(compute)
        key = (*self._identify(), *question)
        entry = self._folder.read(entry_name(key))
        if entry is not None and entry.header["key"] == key and is_current(self._folder, entry):
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(bytes(entry.payload), type=type_)
        began = time.time_ns()
        self.source.requested.clear()
        with limit():
            answer = self._ask(compute)
        self._store(self._folder, key, msgspec.json.encode(answer), began)
        return answer

    def _ask(self, compute: Callable[[], T]) -> T:
        try:
            return compute()
        except KeyError as error:  # of Machine.qmp
            command = error.args[0] if error.args else ""
            raise SourceError(
                f"{self.source.path}: the QMP command {command} was not found; only builds with modules export QEMU's "
                "functions"
            ) from error

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        if self._timeout is None:
            yield
            return
        try:
            with time_limit(self._timeout):
                yield
        except TimeOut:
            raise SourceError(
                f"{self.source.path}: the machine was not read within {self._timeout:g} seconds; allow more with "
                "--timeout"
            ) from None

    def _identify(self) -> tuple[Any, ...]:
        """Return the part of all keys: vmdump's version, the binary by build id, its tree, and the host profile."""
        if self._identity is None:
            from vmdump.emulator.objects.open import open_object

            source = self.source
            try:
                with open_object(source.binary) as file:
                    build_id = file.build_id()
            except (OSError, ValueError) as error:
                raise SourceError(f"{source.path}: {getattr(error, 'strerror', None) or error}") from error
            code = ("machines", __version__, sys.hexversion, os.path.dirname(vmdump.__file__ or ""))
            self._identity = (*code, build_id or "", source.binary, source.sysroot or "", *source.host)
        return self._identity

    def _store(self, folder: CacheFolder, key: tuple[Any, ...], payload: bytes, began: int) -> None:
        """Write an entry, unless a file that it depends on changed meanwhile or shortly before."""
        from vmdump.emulator.unicorn_library import libunicorn

        try:
            files = fingerprints(self._files(), [os.fsdecode(libunicorn())], began)
        except OSError:
            return
        if files is None:
            return
        producer = ("image", self.source.path, None, None, None, (), (), ())
        header = {"key": key, "files": files, "producer": producer, "created": time.time(), "reports": []}
        if not folder.write(entry_name(key), header, payload):
            report_unused(folder.failure, self._report)

    def _files(self) -> Iterator[str]:
        """Iterate over the binary and the files that QEMU requested, existing or not."""
        yield self.source.binary
        found: dict[str, None] = {}
        for requested in self.source.requested:
            for path, real in requested.items():
                found[self.source.tree + path if real in ("missing", "stand-in") else real] = None
        yield from found
