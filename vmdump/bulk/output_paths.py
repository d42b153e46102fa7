"""Where in a folder a dump goes: LABEL/TARGET/MACHINE.json, LABEL being its QEMU's version."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from vmdump.bulk.discover import Item, targets_of
from vmdump.bulk.manifest import Manifest
from vmdump.dump.producer import Producer

if TYPE_CHECKING:
    from vmdump.bulk.worker import Reading

#: What QEMU says of itself: number, and what a distributor has added.
_VERSION = re.compile(r"QEMU emulator version (\S+)(?: \((.*)\))?")

#: What is not for the name of a file or directory.
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._+~-]+")

#: The longest name, in characters.
_MAX_NAME = 100


class Place(NamedTuple):
    """A place: label and target are directories; producer and targets are for the manifest."""

    label: str
    target: str
    producer: dict[str, Any]
    targets: list[str]

    def file(self, machine: str, suffix: str) -> str:
        """The path of a machine's dump, from the folder on."""
        return f"{self.label}/{self.target}/{_name(machine)}{suffix}"

    @property
    def rows(self) -> str:
        """The path of the rows."""
        return f"rows/producer={self.label}/target={self.target}/rows.parquet"


class Places:
    """The places of a folder: of two different QEMUs that would have one, the later gets one of its own."""

    def __init__(self, manifest: Manifest) -> None:
        """Those that the manifest has are taken."""
        self._taken: dict[tuple[str, str], str] = {}
        for entry in manifest:
            if entry["producer"] and entry["targets"]:
                self._taken[entry["producer"]["label"], entry["targets"][0]] = entry["digest"]

    def choose(self, item: Item, reading: Reading, digest: str) -> Place:
        """The place for what was read of an item, and takes it."""
        producer = Producer.from_plain(reading.producer)
        targets = list(targets_of(item.names)) or [reading.target or _stem(item.names[0])]
        if item.kind == "dump":
            targets = [_stem(item.names[0])]
        label = label_of(producer, item.path)
        target = _name(targets[0])
        if self._taken.get((label, target), digest) != digest:
            label = f"{label}-{digest[:8]}"
        self._taken[label, target] = digest
        facts = {"label": label, "version": producer.version, "build_id": producer.build_id, "host": producer.host}
        return Place(label, target, facts, [target, *targets[1:]])


def label_of(producer: Producer, path: str) -> str:
    """What a producer is called: its version, and its host where that is unusual; of a dump that does not tell, the
    directory that it lies in.

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
    """The number of a QEMU's version, as 7.2.22; from the label where the producer does not tell.

    >>> version_number(Producer("file"), "8.2.2-mine")
    '8.2.2'
    """
    found = _VERSION.match(producer.version or "") or re.match(r"v?(\d+(?:\.\d+)+)", label)
    return found[1] if found else None


def _stem(name: str) -> str:
    return name.partition(".")[0].removeprefix("qemu-system-") or name


def _name(text: str) -> str:
    return _NOT_A_NAME.sub("_", text)[:_MAX_NAME].lstrip(".") or "_"
