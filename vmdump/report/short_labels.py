"""Labels for heads of tables: what distinguishes releases of one version, without what they share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A label of vmdump.check.labels with details.
_DETAILED = re.compile(r"(.+?) \((.+)\)")

#: Where the version of a package can be divided.
_BREAK = re.compile(r"(?<=[ +:-])")


def short_labels(labels: Sequence[str]) -> list[str]:
    """Return a unique short label for each label, in order.

    >>> short_labels(["7.2.22", "5.2.0 (Debian 1:5.2+dfsg-11+deb11u3)", "5.2.0 (Debian 1:5.2+dfsg-11+deb11u5)"])
    ['7.2.22', '5.2.0 deb11u3', '5.2.0 deb11u5']
    >>> short_labels(["1.0 (Debian 1:1.0+ds-2+deb13u1)", "1.0 (Debian 1:1.0+ds-2+deb13u1~bpo12+1)"])
    ['1.0 deb13u1', '1.0 deb13u1~bpo12+1']
    """
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        if found := _DETAILED.fullmatch(label):
            groups.setdefault(found[1], []).append(index)
    short = list(labels)
    for base, members in groups.items():
        details = [_BREAK.split(labels[index][len(base) + 2 : -1]) for index in members]
        shared = _shared(details) if len(members) > 1 else 0
        for index, parts in zip(members, details, strict=True):
            short[index] = f"{base} {''.join(parts[shared:])}"
    return short if len(set(short)) == len(short) else list(labels)


def _shared(details: Sequence[Sequence[str]]) -> int:
    """The number of parts that all begin with, of which each keeps the last."""
    shortest = min(map(len, details))
    equal = (len({each[at] for each in details}) == 1 for at in range(shortest - 1))
    return next((at for at, is_equal in enumerate(equal) if not is_equal), shortest - 1)
