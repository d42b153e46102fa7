"""States of a section that a destination changes."""

import pytest

from vmdump.check.evaluated.replay import _changed

ADDED = b"\x05\x10virtio/ringsize\0\0\0\1data"


@pytest.mark.parametrize(
    ("loaded", "saved", "unsteady", "expected"),
    [
        (b"abcd", b"abcd", (), 0),
        (b"abcd", b"abxx", (), 2),
        (b"abcd", b"abxx", (2,), 1),
        (b"abcd", b"ab", (), 4),
        (b"abcd", None, (), 4),
        (b"abcd", b"abcdx", (), 4),
        (b"abcd", b"abcd" + ADDED, (), 0),
        (b"ab\x05\x03d/e", b"ab" + ADDED + b"\x05\x03d/e", (), 0),
        (b"abcd", b"abXd" + ADDED, (), 4),
    ],
)
def test_changed(loaded: bytes, saved: bytes | None, unsteady: tuple[int, ...], expected: int) -> None:
    """Unsteady bytes and further subsections do not count."""
    assert _changed(loaded, saved, frozenset(unsteady)) == expected
