"""Griffe extension: docstrings of this project as Markdown. Doctests stand in them without a heading or a fence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))

from doctest_blocks import with_blocks


class Docstrings(griffe.Extension):
    """Writes doctests as code blocks."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        """Called for each object after it has been read."""
        if obj.docstring:
            obj.docstring.value = with_blocks(obj.docstring.value)
