"""The HTML pages of an output directory of vmdump bulk: the overview, a page of verdicts for each target, and the page
of devices and machine types. ``check --matrix`` and ``gate`` write them, ``browse`` serves them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.dump.output import make_directory, write_file
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmdump.check.results import CheckResult
    from vmdump.report.options import Options

#: The pages beside those of targets.
OVERVIEW, DEVICES = "index.html", "devices.html"


def pages_of(
    folder: str, accepted: Mapping[str, tuple[CheckResult, Options]], *, target: str = "*", max_size: int | None = None
) -> dict[str, bytes]:
    """Return the pages by name.

    folder: the output directory. accepted: the results by target. target: a pattern of targets for the page of devices,
    which has those with a single QEMU, too. max_size: see vmdump.open. Raises VmdumpError.
    """
    from vmdump.report import render
    from vmdump.report.html import overview

    for page in (OVERVIEW, DEVICES):
        if (name := page.removesuffix(".html")) in accepted:
            raise VmdumpError(
                f"{folder}: a page for target {name} would replace another, {page}; give that target's files other "
                "names, and read them again"
            )
    pages = {f"{name}.html": render(result, "html", options) for name, (result, options) in accepted.items()}
    whole = overview.render({name: result for name, (result, _) in accepted.items()})
    pages[OVERVIEW] = whole.encode("utf-8", "backslashreplace")
    pages[DEVICES] = devices_page(folder, list(accepted), target=target, max_size=max_size)
    return pages


def devices_page(folder: str, verdicts: list[str], *, target: str = "*", max_size: int | None = None) -> bytes:
    """Return the page of devices and machine types. verdicts: targets that have a page of verdicts."""
    from fnmatch import fnmatchcase
    from functools import partial

    from vmdump.bulk.query.database import producers, version_order
    from vmdump.bulk.query.stored_machines import stored_machine_rows
    from vmdump.report.html import devices
    from vmdump.report.html.subjects import Release
    from vmdump.sources.open import open

    found = [each for each in producers(folder) if fnmatchcase(each.target, target)]
    releases = [
        Release(
            each.label,
            each.target,
            partial(open, each.path, max_size=max_size),
            partial(stored_machine_rows, folder, each),
        )
        for each in found
    ]
    in_order = sorted(found, key=lambda each: (not each.arguments, each.arguments, version_order(each.producer)))
    labels = list(dict.fromkeys(each.label for each in in_order))
    return devices.render(releases, labels, verdicts).encode("utf-8", "backslashreplace")


def write_pages(pages: Mapping[str, bytes], directory: str) -> None:
    """Write pages into a directory. Raises OutputError."""
    make_directory(directory)
    for name, page in pages.items():
        write_file(os.path.join(directory, name), page)
