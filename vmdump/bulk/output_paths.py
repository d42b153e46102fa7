"""Paths of dumps in the output directory: LABEL/TARGET/MACHINE.json, where LABEL is derived from the QEMU version."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.discover import Item, targets_of
from vmdump.dump.producer import Producer
from vmdump.qemu.binary_name import target_of
from vmdump.sources.open import DUMP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmdump.bulk.manifest import Entry
    from vmdump.bulk.tasks import ReadResult

#: QEMU's version string: the number, and the distributor's suffix.
_VERSION = re.compile(r"QEMU emulator version (\S+)(?: \((.*)\))?")

#: Characters that are replaced in names of files and directories.
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._+~-]+")

#: The longest name of a file or directory, in characters.
_MAX_NAME = 100


class OutputPaths(NamedTuple):
    """The output paths of one source: label and target are directories; producer and targets are for the manifest."""

    label: str
    target: str
    producer: dict[str, Any]
    targets: list[str]

    def file(self, machine: str, suffix: str) -> str:
        """Return the path of a machine's dump, relative to the output directory."""
        return f"{self.label}/{self.target}/{_name(machine)}{suffix}"

    @property
    def rows(self) -> str:
        """The path of the Parquet file, relative to the output directory."""
        return f"rows/producer={self.label}/target={self.target}/rows.parquet"

    @property
    def machine_rows(self) -> str:
        """The path of the Parquet file of machine types, relative to the output directory."""
        return f"rows/producer={self.label}/target={self.target}/machines.parquet"


class OutputPathAllocator:
    """Assigns output paths. Of two different QEMUs with the same label and target, the later one gets a suffix."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Args: entries: manifest entries whose paths are in use."""
        self._taken: dict[tuple[str, str], str] = {}
        for entry in entries:
            if entry["producer"] and entry["targets"]:
                self._taken[entry["producer"]["label"], entry["targets"][0]] = entry["digest"]

    def choose(self, item: Item, result: ReadResult, digest: str) -> OutputPaths:
        """Reserve and return the output paths for the result of an item; digest: SHA-256 of its file, in hex."""
        producer = Producer.from_plain(result.producer)
        targets = list(targets_of(item.names)) or [result.target or target_of(item.names[0])]
        if item.kind == DUMP:
            targets = [target_of(item.names[0])]
        label = label_of(producer, item.path)
        target = _name(targets[0])
        if self._taken.get((label, target), digest) != digest:
            label = f"{label}-{digest[:8]}"
        self._taken[label, target] = digest
        about = {"label": label, "version": producer.version, "build_id": producer.build_id, "host": producer.host}
        return OutputPaths(label, target, about, [target, *targets[1:]])


def label_of(producer: Producer, path: str) -> str:
    """Return the label of a producer: its version, and its host if that is not x86_64.

    Without a version, as in dump files of QEMU itself, it is the name of the directory that the file at path is in.

    >>> label_of(Producer("image", version="QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"), "/q")
    '7.2.22-Debian_1_7.2+dfsg-7+deb12u18'
    >>> label_of(Producer("file"), "dumps/qemu-8.2.2/x86_64.json.xz")
    '8.2.2'
    """
    found = _VERSION.match(producer.version or "")
    if found is None:
        directory = os.path.basename(os.path.dirname(os.path.abspath(path)))
        return _name(directory.removeprefix("qemu-"))
    label = "-".join(filter(None, found.groups()))
    if producer.host not in (None, "x86_64"):
        label += f"-{producer.host}"
    return _name(label)


def version_number(producer: Producer, label: str) -> str | None:
    """Return the number of a QEMU version, such as 7.2.22, from the producer or else from its label.

    >>> version_number(Producer("file"), "8.2.2-mine")
    '8.2.2'
    """
    found = _VERSION.match(producer.version or "") or re.match(r"v?(\d+(?:\.\d+)+)", label)
    return found[1] if found else None


def _name(text: str) -> str:
    return _NOT_A_NAME.sub("_", text)[:_MAX_NAME].lstrip(".") or "_"
