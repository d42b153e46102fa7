"""Binaries that are refused."""

from pathlib import Path

import pytest

from vmdump.errors import SourceError
from vmdump.sources.qemu_image.image import QemuImage


def check_refused(content: bytes, error: str, folder: Path) -> None:
    """Check that a binary is refused on one line, which begins with its path and matches the error."""
    path = folder / "file"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=error) as caught:
        QemuImage(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
