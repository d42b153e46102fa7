"""A dump as the check sees it: its tree, what is damaged in it, and the error lines of its QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.check.tree_view import Native
from vmdump.qemu.error_lines import ErrorLines

if TYPE_CHECKING:
    from vmdump.check.tree_view import Contents
    from vmdump.dump.device_dump import DeviceDump


class CheckedDump(Native):
    """A dump with what the check needs of it."""

    def __init__(self, dump: DeviceDump, contents: Contents | None) -> None:
        super().__init__(dump, contents)
        self._dump = dump
        #: What is damaged in the binary, by device type.
        self.defects: dict[str, str] = {}
        for defect in dump.producer.defects:
            if defect.device is not None:
                self.defects.setdefault(defect.device, defect.what)
        #: The error lines of this QEMU.
        self.lines = ErrorLines.of(dump)

    def is_same_code(self, other: CheckedDump) -> bool:
        """Whether both dumps are of one build, which loads what its own code sends."""
        build_id = self._dump.producer.build_id
        return self._dump is other._dump or (build_id is not None and build_id == other._dump.producer.build_id)
