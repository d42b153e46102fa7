"""Griffe extension: docstrings of this project as Markdown. Doctests stand in them without a heading or a fence."""

from __future__ import annotations

import re
from typing import Any

import griffe

#: A doctest: lines from >>> up to an empty line.
_DOCTEST = re.compile(r"^( *)>>> .*(?:\n(?! *$).+)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Writes doctests as code blocks, and QEMU's double backquotes as Markdown's."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        """Called for each object after it has been read."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring whose doctests are code blocks."""
    return _DOCTEST.sub(lambda match: f"\n{match[1]}```pycon\n{match.group()}\n{match[1]}```\n", text)
