"""sys.path without the directory that Python puts in front of it: what ``python -P`` does.

``python -m`` and ``-c`` put the current directory there, a script the directory that it lies in. A file in it that has
the name of a module, pickle.py or zstandard.py, would be imported, and so executed, in the place of the module. vmdump
is run in directories of unknown origin: unpacked packages, downloads.
"""

import os
import sys

#: The directory that the package vmdump lies in.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def safe_path() -> list[str]:
    """Return sys.path without its first entry, if Python has put it there; $PYTHONPATH is what the user asks for.

    If vmdump itself was imported from that directory (``python -m vmdump`` in a checkout), it stays, as the last entry,
    so that it replaces no module that is installed.
    """
    if not sys.path or not _is_unsafe(sys.path[0]):
        return list(sys.path)
    rest = sys.path[1:]
    is_ours = os.path.abspath(sys.path[0]) == ROOT
    return [*rest, ROOT] if is_ours and ROOT not in rest else rest


def _is_unsafe(entry: str) -> bool:
    """Whether Python has put an entry in front of sys.path: "", the current directory, the script's, or an archive."""
    if sys.flags.safe_path:
        return False
    main = getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0]
    script = os.path.realpath(main)
    return entry == "" or os.path.realpath(entry) in (_current_directory(), script, os.path.dirname(script))


def _current_directory() -> str | None:
    try:
        return os.path.realpath(os.getcwd())
    except OSError:  # it was removed
        return None
