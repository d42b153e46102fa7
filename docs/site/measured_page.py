"""The page of measurements, from the files that make judge and make bench write."""

from __future__ import annotations

import re

from links import ROOT

_INTRODUCTION = """# Measured accuracy and speed

This page is made of the files that `make judge` and `make bench` write; nothing in it is entered by hand.
"""

#: The files, and what writes them.
_FILES = {"bench/ACCURACY.md": "make judge", "bench/RESULTS.md": "make bench"}


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for name in _FILES:
        if (ROOT / name).exists():
            parts.append(re.sub(r"^(#+ )", r"#\1", (ROOT / name).read_text(), flags=re.MULTILINE))
    return "\n".join(parts)
