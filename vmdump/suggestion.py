"""Suggestions for misspelt names. Imported only to report an error."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The most names suggested, their minimum similarity, and its largest distance from the best one's.
_MAX_NAMES, _CUTOFF, _MARGIN = 3, 0.6, 0.1


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return "did you mean NAME?" with the known names closest to name; otherwise, if none is close.

    Ignores case, since not all QOM types are lower case.

    >>> did_you_mean("piix4-pm", ["e1000", "PIIX4_PM"])
    'did you mean PIIX4_PM?'
    >>> did_you_mean("chek", ["dump", "check", "cache"]), did_you_mean("zebra", ["dump"], "see --help")
    ('did you mean check?', 'see --help')
    """
    matcher = SequenceMatcher(b=_letters(name))  # SequenceMatcher caches its analysis of b
    scored = []
    for each in dict.fromkeys(known):
        matcher.set_seq1(_letters(each))
        if matcher.real_quick_ratio() >= _CUTOFF and matcher.quick_ratio() >= _CUTOFF:
            scored.append((matcher.ratio(), each))
    best = max((score for score, _ in scored), default=0)
    close = sorted(((-score, each) for score, each in scored if score >= max(_CUTOFF, best - _MARGIN)))[:_MAX_NAMES]
    return f"did you mean {' or '.join(each for _, each in close)}?" if close else otherwise


def _letters(name: str) -> str:
    return name.lstrip("-").lower().replace("_", "-")
