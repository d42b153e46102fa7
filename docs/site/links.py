"""Links of pages to files of the repository that are not pages: in the site, such a file has a page of its own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: A Markdown link or image: text, target, anchor.
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=(?:#[^)]*)?\))")


class Links:
    """Translates links of the repository to links of the site.

    Args:
        root: Directory of the repository; the pages of the site are in its docs/.
        elsewhere: Pages that are files elsewhere in it, by their name in the site.
        made_from: Generated pages by the file that they are made from.
    """

    def __init__(self, root: Path, elsewhere: Mapping[str, str], made_from: Mapping[str, str]) -> None:
        self._root = root
        self._elsewhere = elsewhere
        self._names = {**{path: name for name, path in elsewhere.items()}, **made_from}

    def adapted(self, markdown: str, page: str) -> str:
        """Return a page's text with links of the site. page: its name in the site."""
        return _LINK.sub(lambda match: self._target(match.group(), page), markdown)

    def referenced(self, pages: Mapping[str, str]) -> dict[str, Path]:
        """Return the files of the repository that pages refer to, by the name of their page in the site.

        Files in a directory that is referred to are included.
        """
        found = {}
        for page, markdown in pages.items():
            for link in _LINK.findall(markdown):
                path = self._path(link, page)
                if not path.startswith("docs/") and path not in self._names and (self._root / path).exists():
                    found |= {_source_name(each): self._root / each for each in self._with_files(path)}
        return found

    def _with_files(self, path: str) -> Iterator[str]:
        yield path
        if (self._root / path).is_dir():
            for each in sorted((self._root / path).iterdir()):
                if each.suffix in (".py", ".c", ".h", ".md", ".yml", ".json") or each.name == "Makefile":
                    yield posixpath.join(path, each.name)

    def _path(self, link: str, page: str) -> str:
        """Return the path in the repository of the target of a page's link."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self._elsewhere.get(page, f"docs/{page}")), link))

    def _target(self, link: str, page: str) -> str:
        path = self._path(link, page)
        if path.startswith("docs/"):
            name = path.removeprefix("docs/")
        elif path in self._names:
            name = self._names[path]
        elif (self._root / path).exists():
            name = _source_name(path)
        else:
            return link  # MkDocs reports it
        return posixpath.relpath(name, posixpath.dirname(page) or ".")


def _source_name(path: str) -> str:
    return f"source/{path.rstrip('/')}.md"
