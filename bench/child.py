"""Child processes that are measured. Nothing to run here."""

import os
from pathlib import Path

import vmdump


def child_environ(**more: str) -> dict[str, str]:
    """The environment in which a child imports the vmdump that this process has, wherever it runs."""
    package = str(Path(vmdump.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **more}
