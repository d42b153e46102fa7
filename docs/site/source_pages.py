"""Pages with the text of a file of the repository, or with the names of the files in a directory of it."""

from __future__ import annotations

from pathlib import Path

from links import ROOT

_LANGUAGES = {
    ".py": "python",
    ".c": "c",
    ".h": "c",
    ".yml": "yaml",
    ".json": "json",
    ".md": "markdown",
    ".toml": "toml",
}

#: Directives that keep a page out of the search, in which it would come before the pages about it.
_HEAD = "---\nsearch:\n  exclude: true\nhide: [toc]\n---\n"


def source_page(path: Path) -> str:
    """Return the page of a file or directory."""
    name = path.relative_to(ROOT)
    if path.is_dir():
        rows = (f"| {_linked(each)} | {_size(each)} |" for each in sorted(path.iterdir()) if each.name != "__pycache__")
        return "\n".join([f"{_HEAD}# {name}/", "", "| file | bytes |", "|---|--:|", *rows, ""])
    return f"{_HEAD}# {name}\n\n````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text()}````\n"


def _linked(path: Path) -> str:
    if path.suffix in (".py", ".c", ".h", ".yml", ".json") or path.name == "Makefile":
        return f"[{path.name}]({path.parent.name}/{path.name}.md)"
    return f"{path.name}/" if path.is_dir() else path.name


def _size(path: Path) -> str:
    return "" if path.is_dir() else f"{path.stat().st_size:,}"
