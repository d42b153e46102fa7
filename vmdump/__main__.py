"""The process: ``python -m vmdump`` and the command ``vmdump``."""

import gc
import os
import sys

from vmdump.import_path import safe_path

#: New objects after which the garbage collector runs. With Python's default of 700 it runs a dozen times during
#: imports, frees nothing, and takes a twentieth of the time of a dump.
GC_THRESHOLD = 50_000

#: Modules that need the interpreter's finalisation.
_NEEDS_FINALISATION = frozenset(["vmdump.sources.session", "multiprocessing.process"])


def main() -> int:
    """Run the command line of this process and return its exit code. Handles Ctrl-C, also during imports.

    Exits directly unless a session may have run modules in Python or C, or multiprocessing has temporary files to
    remove. That skips the interpreter's finalisation, which takes a tenth of the time of a dump; commands flush their
    streams themselves.
    """
    sys.path[:] = safe_path()
    gc.set_threshold(GC_THRESHOLD)
    try:
        from vmdump.cli import main as run

        status = run()
        if _NEEDS_FINALISATION.isdisjoint(sys.modules):
            os._exit(status)
        return status
    except KeyboardInterrupt:
        sys.stderr.write("vmdump: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
