"""Texts of the program as Markdown."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Return a text without Markdown's meanings, except that pairs of backquotes enclose code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return _plain("`".join(parts))
    return "`".join(part if index % 2 else _plain(part) for index, part in enumerate(parts))


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]#|])", r"\\\1", text).replace("<", "&lt;")
