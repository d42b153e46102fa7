"""Identity of findings across runs, by which code scanning tells new findings from known ones."""

from __future__ import annotations

from hashlib import sha256
from json import dumps
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmdump.check.results import CheckResult, Finding


class Fingerprints:
    """Fingerprints of the findings of a result: unique, independent of messages and of the dumps' paths.

    If there are only two dumps, they are also independent of their versions.
    """

    def __init__(self, result: CheckResult) -> None:
        self._result = result
        self._seen: dict[str, int] = {}

    def next(self, finding: Finding) -> str:
        """Return the fingerprint of a finding. Equal findings are numbered in the order of the calls."""
        known = self._result.directions.get(finding.direction)
        direction = known.way if known and len(self._result.dumps) == 2 else finding.direction
        parts = [finding.rule, direction, finding.type, finding.path]
        digest = sha256(dumps(parts).encode()).hexdigest()[:32]
        self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{digest}:{self._seen[digest]}"
