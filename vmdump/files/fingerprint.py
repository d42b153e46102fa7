"""Fingerprints of files: has a file changed since it was read?

Content is identified by its SHA-256. Hashing a binary of 20 MB takes as long as all other work on a cached image, so
a file whose device, inode, size, mtime and ctime are unchanged is not hashed again, as in git's index. As in git, the
signature of a file that changed shortly before it was read is not trusted: a second change within the granularity of
the time stamps would leave it as it is.
"""

from __future__ import annotations

import os
import time

from vmdump.files.input_file import is_regular, open_regular

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    #: A file's device, inode, size in bytes, mtime and ctime in nanoseconds; None: there is no file.
    Signature = tuple[int, int, int, int, int] | None

    #: Path, signature and SHA-256 of a file. Without a digest, any change of the signature counts as a change.
    Fingerprint = tuple[str, Signature, bytes | None]

#: Granularity of time stamps, in nanoseconds: FAT has two seconds, all other file systems less.
GRANULARITY = 2_000_000_000

#: Digests of files in this process, by path and signature, and their limit.
_digests: dict[tuple[str, Signature], bytes] = {}
_DIGESTS_MAX = 1024


def stat_signature(path: str) -> Signature:
    """Return the signature of the file at path."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return _signature(status)


def _signature(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def fingerprint_of(path: str) -> Fingerprint:
    """Return the fingerprint of the file at path, with a digest if it is a regular file.

    Raises:
        OSError: the file can't be read.
    """
    if not is_regular(path):
        return path, stat_signature(path), None
    with open_regular(path) as file:
        signature = _signature(os.fstat(file.fileno()))
        digest = _digests.get((path, signature))
        if digest is None:
            from hashlib import file_digest

            began = time.time_ns()
            digest = file_digest(file, "sha256").digest()
            if is_settled(signature, began) and len(_digests) < _DIGESTS_MAX:
                _digests[path, signature] = digest
        return path, signature, digest


def refreshed(fingerprint: Fingerprint) -> Fingerprint | None:
    """Return the current fingerprint of a file whose content is unchanged, else None.

    The file is hashed only if its signature differs. A fingerprint with a digest but no signature always is.
    """
    path, signature, digest = fingerprint
    now = stat_signature(path)
    if now == signature and (now is not None or digest is None):
        return fingerprint
    if now is None or digest is None:
        return None
    try:
        found = fingerprint_of(path)
    except OSError:
        return None
    return found if found == (path, now, digest) else None


def is_settled(signature: Signature, since: int) -> bool:
    """Return whether a file did not change since shortly before a time, so that any later change alters the signature.

    ``since``: nanoseconds since the epoch.
    """
    return signature is None or max(signature[3:]) < since - GRANULARITY
