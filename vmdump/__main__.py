"""The process: ``python -m vmdump`` and the command ``vmdump``."""

import gc
import os
import sys

#: New objects after which the garbage collector looks for cycles. With Python's 700 it does so a dozen times while
#: modules are imported, finds nothing, and takes a twentieth of the time of a dump.
GC_THRESHOLD = 50_000


def main() -> int:
    """Runs the command line of this process. Ctrl-C is answered from here on, also while modules are imported.

    It does not return where no code but vmdump's own has run (modules in Python and C are a session's). What the
    interpreter does at its end is of no use then, and takes a tenth of the time of a dump; streams are flushed, as
    every command does that for itself.
    """
    gc.set_threshold(GC_THRESHOLD)
    try:
        from vmdump.cli import main as run

        status = run()
        if "vmdump.sources.session" not in sys.modules:
            os._exit(status)
        return status
    except KeyboardInterrupt:
        sys.stderr.write("vmdump: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
