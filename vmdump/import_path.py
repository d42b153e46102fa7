"""sys.path without the directory that Python puts first, as with ``python -P``.

``python -m`` and ``-c`` put the current directory there, a script its own directory. A file in it with the name of a
module, such as pickle.py or zstandard.py, would be imported, and so executed, instead of the module. vmdump is run in
directories of unknown origin, such as downloads and unpacked packages.
"""

import os
import sys

#: The directory that contains the package vmdump.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def safe_path() -> list[str]:
    """Return sys.path without its first entry if Python has put it there. $PYTHONPATH is kept.

    If vmdump itself was imported from that directory (``python -m vmdump`` in a checkout), the directory becomes the
    last entry, so that it shadows no installed module.
    """
    if not sys.path or not _is_unsafe(sys.path[0]):
        return list(sys.path)
    rest = sys.path[1:]
    has_vmdump = os.path.abspath(sys.path[0]) == ROOT
    return [*rest, ROOT] if has_vmdump and ROOT not in rest else rest


def _is_unsafe(entry: str) -> bool:
    """Return whether Python has put an entry first: "", the current directory, the script's, or an archive."""
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
