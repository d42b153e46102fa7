"""Suggestions for names that are misspelt. Loaded only when there is an error to report."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The most names that are suggested, how alike two names have to be, and how much less than the best one.
_MAX_NAMES, _CUTOFF, _MARGIN = 3, 0.6, 0.1


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the question that names what may have been meant; otherwise, if nothing known is close.

    Upper and lower case count as equal here: nearly all QOM types are lower case, but not all are.

    >>> did_you_mean("piix4-pm", ["e1000", "PIIX4_PM"])
    'did you mean PIIX4_PM?'
    >>> did_you_mean("chek", ["dump", "check", "cache"]), did_you_mean("zebra", ["dump"], "see --help")
    ('did you mean check?', 'see --help')
    """
    matcher = SequenceMatcher(b=_letters(name))  # which is looked at once, and compared with each
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
