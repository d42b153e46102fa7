"""Fixtures of the tests of sources."""

import time
from pathlib import Path

import pytest
from support.image_cache import House

from vmdump.files import fingerprint
from vmdump.sources import image_cache


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose image has been read once. Files count as settled at once, as this one is new."""
    house = House(tmp_path)
    monkeypatch.setattr(image_cache, "_read_image", house.read)
    monkeypatch.setattr(fingerprint, "GRANULARITY", 0)
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    time.sleep(0.02)  # the granularity of file time stamps
    assert not house.is_hit()
    return house
