"""MkDocs events of the site: adds the generated pages, and adapts pages that are read on GitHub as well.

Source: https://www.mkdocs.org/dev-guide/plugins/#events.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import command_pages
import drawings
import measured_page
import rule_pages
from links import ROOT, Links
from source_pages import source_page

from vmdump.check.rules import rule_ids
from vmdump.cli import COMMANDS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

#: Pages that are files of the repository elsewhere.
_ELSEWHERE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "reporting.md": "SECURITY.md",
}

#: Directories of pages that the code has one of each for, by their entry in the navigation.
_DIRECTORIES = {"reference/commands/": command_pages.pages, "reference/rules/": rule_pages.pages}

#: Files that programs read, at the same place in the site as in their $id.
_SCHEMAS = ("vmdump/report/check.schema.json", "vmdump/dump/extended.schema.json")

#: Generated pages by the file that they are made from: pages link to the file, which is there on GitHub, too.
_MADE_FROM = {
    "bench/RESULTS.md": "measured.md",
    "bench/ACCURACY.md": "measured.md",
    "vmdump/cli": "reference/commands/index.md",
    "vmdump/check/rules": "reference/rules/index.md",
    **{f"vmdump/cli/{name}.py": f"reference/commands/{name}.md" for name in COMMANDS},
    **{f"vmdump/check/rules/{each.replace('-', '_')}.py": f"reference/rules/{each}.md" for each in rule_ids()},
}

_links = Links(ROOT, _ELSEWHERE, _MADE_FROM)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Expand the directories in the navigation."""
    config.nav = _expanded(config.nav)
    return config


def _expanded(item: Any) -> Any:
    if isinstance(item, list):
        return [_expanded(each) for each in item]
    if isinstance(item, dict):
        return {title: _expanded(each) for title, each in item.items()}
    if item in _DIRECTORIES:
        return [item + name for name in _DIRECTORIES[item]()]
    return item


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and a page for each file of the repository that a page refers to."""
    texts = {name: (ROOT / path).read_text() for name, path in _ELSEWHERE.items()}
    texts["measured.md"] = measured_page.page()
    for directory, pages in _DIRECTORIES.items():
        texts |= {directory + name: text for name, text in pages().items()}
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    for path in _SCHEMAS:
        files.append(File.generated(config, f"schemas/{Path(path).name}", content=(ROOT / path).read_text()))
    pages = {each.src_uri: each.content_string for each in files.documentation_pages()}
    for name, path in _links.referenced(pages).items():
        files.append(File.generated(config, name, content=source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt a page that is read on GitHub as well: fences, links to files of the repository, drawings."""
    markdown = re.sub(r"^```(\w+) [\w ]+$", r"```\1", markdown, flags=re.MULTILINE)
    return drawings.inlined(_links.adapted(markdown, page.file.src_uri))
