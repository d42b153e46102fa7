"""Dumps that real QEMUs wrote."""

import lzma

from support.paths import DATA

#: Dumps that real QEMUs wrote: qemu-VERSION/TARGET.json.xz.
REAL_DUMPS = sorted((DATA / "dumps").glob("*/*.json.xz"))


def read_real_dump(version: str, target: str) -> bytes:
    """Return the uncompressed bytes of tests/data/dumps/qemu-VERSION/TARGET.json.xz."""
    return lzma.decompress((DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz").read_bytes())
