"""The process: ``python -m vmdump`` and the command ``vmdump``."""

import sys


def main() -> int:
    """Runs the command line of this process. Ctrl-C is answered from here on, also while modules are imported."""
    try:
        from vmdump.cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("vmdump: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
