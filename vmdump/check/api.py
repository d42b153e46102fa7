"""vmdump.check and vmdump.lint: the check and the linter for callers in Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, TypeAlias

from vmdump.check.checker import Labelled
from vmdump.dump.device_dump import DeviceDump
from vmdump.errors import VmdumpError
from vmdump.sources.open import STREAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.check.results import CheckResult, Finding
    from vmdump.sources.image_cache import Image

    Source: TypeAlias = str | os.PathLike[str] | DeviceDump | Labelled
    Way: TypeAlias = Literal["forward", "backward"]

#: Limit for booting and reading the VMs of a binary, in seconds.
_SECONDS = 60.0

#: The directions by name, as indices of source and destination.
_WAYS = {"forward": (0, 1), "backward": (1, 0)}


def check(
    old: Source,
    new: Source,
    *,
    types: str | Iterable[str] = (),
    directions: Literal["both"] | Way | Iterable[Way] = "both",
    machine: str | None = None,
    any_target: bool = False,
    evaluate: bool = True,
) -> CheckResult:
    """Check whether the device state of each of two QEMUs can be loaded by the other.

    Args:
        old: the path of a QEMU binary, of a dump file or of a saved VM, a DeviceDump, or a Labelled dump. Of a saved
            VM only the direction forward is checked.
        new: the same for the other QEMU.
        types: glob patterns of QOM types, or names from QEMU's error lines; default: all types.
        directions: "forward" (old -> new), "backward", "both", or several of them.
        machine: the machine type of binaries. Default: the newest that both know.
        any_target: True also compares QEMUs of different targets.
        evaluate: False does not boot VMs of binaries in the emulator; what a VM decides then stays conditional.

    Returns:
        A CheckResult. ``findings`` has all findings, ``results`` the types of each direction with their verdicts.

    Raises:
        VmdumpError: the targets differ, no type matches, the labels are equal, or a description is too large.
        SourceError: a path can't be read.

    >>> import vmdump
    >>> dump = vmdump.open()
    >>> result = check(Labelled("old", dump), Labelled("new", dump), types="isa-serial")
    >>> result
    <CheckResult: old -> new: 1 safe; new -> old: 1 safe>
    >>> result.results["old -> new"][0].verdict
    <Verdict.SAFE: 'safe'>
    >>> list(result.findings)
    []
    """
    from vmdump.check.checker import check as check_dumps
    from vmdump.check.sides import Side, different_targets
    from vmdump.dump.type_patterns import require_types

    pairs = _pairs(directions)
    patterns = (types,) if isinstance(types, str) else tuple(types)
    dumps = _open_all((old, new), machine)
    if any(each.producer.kind == STREAM for each in dumps):
        from vmdump.stream.stream_dump import fit_first

        dumps, pairs = fit_first(dumps), [(0, 1)]
    require_types(patterns, dumps)
    sources = _label((old, new), dumps, ("old", "new"))
    sides = [Side(each.label, each.dump, each.dump.producer.path) for each in sources]
    unlike = None if any_target else different_targets(sides)
    if unlike is not None:
        (first, one), (second, other) = unlike
        raise VmdumpError(
            f"{first.label} is of {one}, {second.label} of {other}: a VM can't migrate between targets; "
            "any_target=True compares them anyway"
        )
    evaluations = _evaluations(dumps) if evaluate else None
    return check_dumps(sources, directions=pairs, types=patterns, evaluations=evaluations)


def _evaluations(dumps: Sequence[DeviceDump]) -> Evaluations | None:
    """Return the evaluations of the dumps of binaries; None: there are no binaries."""
    if all(dump.producer.kind != "image" for dump in dumps):
        return None
    from vmdump.check.evaluated.evaluation import image_of
    from vmdump.check.evaluated.evaluations import Evaluations
    from vmdump.notices import log_warning

    images = [image_of(dump, None, None) if dump.producer.kind == "image" else None for dump in dumps]
    return Evaluations(images, log_warning, timeout=_SECONDS)


def lint(source: Source, *, machine: str | None = None) -> list[Finding]:
    """Return the defects (verdict ``breaks``) and notices (verdict ``safe``) of the descriptions of one QEMU.

    Args:
        source: the path of a QEMU binary or of a dump file, a DeviceDump, or a Labelled dump.
        machine: the machine type of a binary. Default: its default machine.

    Raises SourceError if a path can't be read.

    >>> import vmdump
    >>> findings = lint(vmdump.open())
    >>> [finding for finding in findings if finding.verdict == "breaks"]
    []
    """
    from vmdump.check.lint import lint as lint_dump

    dumps = _open_all((source,), machine)
    return lint_dump(*_label((source,), dumps, ("dump",)))


def _pairs(directions: str | Iterable[str]) -> list[tuple[int, int]]:
    """Return the directions as indices. Raises VmdumpError for an unknown one."""
    if isinstance(directions, str):
        directions = tuple(_WAYS) if directions == "both" else (directions,)
    names = dict.fromkeys(directions)
    unknown = [name for name in names if name not in _WAYS]
    if unknown or not names:
        what = f"unknown direction {unknown[0]!r}" if unknown else "no direction given"
        raise VmdumpError(f'{what}; directions are "forward", "backward" or "both"')
    return [_WAYS[name] for name in names]


def _open_all(sources: Sequence[Source], machine: str | None) -> list[DeviceDump]:
    """Open the sources. Without a machine type, binaries get the newest that all sources know."""
    opened = [_open(each) for each in sources]
    images = [each for each in opened if not isinstance(each, DeviceDump)]
    if machine is not None and not images:
        raise VmdumpError("machine= does not apply to dump files")
    if machine is None and images and len(opened) > 1:
        machine = _common_machine(images, [each.machine for each in opened if isinstance(each, DeviceDump)])
    return [each if isinstance(each, DeviceDump) else each.dump(machine) for each in opened]


def _common_machine(images: Sequence[Image], named: Sequence[str]) -> str | None:
    """Return the machine type for binaries; named: those of the dumps beside them."""
    if named:
        is_known = all(named[0] in {machine.name for machine in image.machines} for image in images)
        return named[0] if len(set(named)) == 1 and is_known else None
    from vmdump.check.sides import common_machine

    return common_machine([image.machines for image in images])


def _open(source: Source) -> DeviceDump | Image:
    """Open a path; return a dump as it is."""
    if isinstance(source, Labelled):
        return source.dump
    if isinstance(source, DeviceDump):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"a source must be a path, a DeviceDump or a Labelled dump, not {type(source).__name__}")
    from vmdump.notices import log_warning
    from vmdump.sources.open import is_binary, open

    path = os.fspath(source)
    if not is_binary(path):
        return open(path)
    from vmdump.sources.image_cache import open_image

    return open_image(path, report=log_warning)


def _label(sources: Sequence[Source], dumps: Sequence[DeviceDump], names: Sequence[str]) -> list[Labelled]:
    """Return the dumps with labels: those given, else versions, names of files, or names. Raises VmdumpError for
    equal labels.
    """
    from vmdump.check.labels import Named, labels

    producers = [dump.producer for dump in dumps]
    known = zip(producers, names, strict=True)
    made = labels([Named(each.version, each.host, each.path, None if each.path else name) for each, name in known])
    labelled = [
        source if isinstance(source, Labelled) else Labelled(label, dump)
        for source, label, dump in zip(sources, made, dumps, strict=True)
    ]
    if len({each.label for each in labelled}) < len(labelled):
        raise VmdumpError(f"two dumps are labelled {labelled[0].label!r}; give them different labels")
    return labelled
