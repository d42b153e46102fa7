"""Parts of the pages: files of page/, the policy (CSP) that lets only the page's own script and style run, and data."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from json import dumps
from pathlib import Path
from typing import Any

from vmdump.report.characters import visible

_PAGE = Path(__file__).with_name("page")


def read_page_part(name: str, **parts: str) -> str:
    """A file of page/, with each {{name}} replaced by a part."""
    content = (_PAGE / name).read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], content) if parts else content


def page_head(title: str, style: str, script: str | None = None) -> str:
    """The start of a page up to its body. title: as text, not as HTML. The policy allows this style and script only."""
    scripts = f" script-src {_hash(script)};" if script is not None else ""
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)};{scripts} base-uri 'none'; form-action 'none'"
    )
    return read_page_part("head.html", policy=policy, title=text(title), style=style)


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def text(content: str) -> str:
    """Text of a page."""
    return escape(visible(content))


def embedded(data: Any) -> str:
    """JSON in which everything that an HTML parser would interpret is escaped."""
    content = dumps(data, separators=(",", ":"))
    return content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
