"""Fingerprints of files: a file is hashed again unless its signature proves that it is unchanged."""

import time
from hashlib import sha256
from pathlib import Path

import pytest

from vmdump.files import fingerprint
from vmdump.files.fingerprint import GRANULARITY, fingerprint_of


def test_settled_files_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose time stamps are old is hashed once, one that has just changed each time."""
    path, now = tmp_path / "file", time.time_ns()
    for changed, is_kept in ((now - 2 * GRANULARITY, True), (now + GRANULARITY, False)):
        monkeypatch.setattr(fingerprint, "_signature", lambda status, changed=changed: (1, 2, 3, changed, changed))
        path.write_text("old")
        first = fingerprint_of(str(path))
        assert first == (str(path), (1, 2, 3, changed, changed), sha256(b"old").digest())
        path.write_text("new")
        assert (fingerprint_of(str(path)) == first) is is_kept


def test_another_signature(tmp_path: Path) -> None:
    """A file with another signature is hashed again."""
    path = tmp_path / "file"
    path.write_text("old")
    first = fingerprint_of(str(path))
    path.write_text("newer")
    assert fingerprint_of(str(path))[2] == sha256(b"newer").digest() != first[2]
