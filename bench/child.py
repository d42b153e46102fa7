"""The environment of measured child processes."""

import os
from pathlib import Path

import vmdump


def child_environ(**more: str) -> dict[str, str]:
    """Return an environment in which a child imports this process's vmdump from any directory."""
    package = str(Path(vmdump.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}
