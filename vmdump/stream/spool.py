"""A saved VM on standard input, for readers that read it more than once."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING

from vmdump.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_CHUNK = 1 << 20


@contextlib.contextmanager
def seekable(path: str, stdin: IO[bytes] | None) -> Iterator[str]:
    """Yield a path of the file's contents that can be read at any offset; errors name the given one.

    Standard input that is no regular file is copied to a temporary file, which needs as much room in $TMPDIR.

    Args:
        path: "-" is standard input.
        stdin: used for "-".
    """
    if path != "-" or stdin is None:
        yield path
        return
    with contextlib.ExitStack() as stack:
        name = _regular(stdin)
        if name is None:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="vmdump-", suffix=".save"))
            name = file.name
            try:
                shutil.copyfileobj(stdin, file, _CHUNK)
                file.flush()
            except OSError as error:
                raise SourceError(f"<stdin>: can't be copied to {tempfile.gettempdir()}: {error.strerror}") from error
        try:
            yield name
        except SourceError as error:
            if not str(error).startswith(name):
                raise
            raise SourceError(f"<stdin>{str(error)[len(name) :]}") from error


def _regular(stdin: IO[bytes]) -> str | None:
    """Return a path that opens a regular file once more, from its start; None: it is no such file."""
    try:
        descriptor = stdin.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.lseek(descriptor, 0, os.SEEK_CUR) == 0:
            return f"/dev/fd/{descriptor}"
    except OSError:
        pass
    return None
