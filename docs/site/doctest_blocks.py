"""Doctests in docstrings as code blocks of Markdown."""

from __future__ import annotations

import re

#: A doctest: lines from >>> up to an empty line.
_DOCTEST = re.compile(r"^( *)>>> .*(?:\n(?! *$).+)*", re.MULTILINE)


def with_blocks(text: str) -> str:
    """Return a docstring whose doctests are code blocks."""
    return _DOCTEST.sub(lambda match: f"\n{match[1]}```pycon\n{match.group()}\n{match[1]}```\n", text)
