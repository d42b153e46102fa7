"""Boards and answers of VMs that were not booted, for tests of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from vmdump.check.board import BoardCheck
from vmdump.check.checker import Labelled, check
from vmdump.check.evaluated.answers import Answer, Answers, Key, Wanted
from vmdump.check.evaluated.board import Board, BoardBlock, BoardSection
from vmdump.check.evaluated.replay import Replayed, Sent
from vmdump.check.results import Finding, TypeResult
from vmdump.dump.device_dump import DeviceDump
from vmdump.qemu.error_lines import ErrorLines

EMPTY = Board("pc-q35-7.2", (), (), (), {}, (), (), "", {}, (), ())


def board(**facts: Any) -> Board:
    """Return a board of pc-q35-7.2 with some contents."""
    return replace(EMPTY, **facts)


def section(idstr: str, instance: int = 0, *aliases: tuple[str, int], is_sent: bool = True) -> BoardSection:
    """Return a section."""
    return BoardSection(idstr, instance, aliases, is_sent)


def block(name: str, size: int, file: str | None = None) -> BoardBlock:
    """Return a RAM block."""
    return BoardBlock(name, size, file)


def board_findings(
    source: Board,
    destination: Board,
    refusal: str | None = "Size too large",
    with_defaults: tuple[Board | None, Board | None] | None = None,
) -> Sequence[Finding]:
    """Compare boards.

    Args:
        source, destination: of VMs without default devices.
        refusal: what the destination says about each RAM block of another size.
        with_defaults: of VMs with default devices; by default the same.
    """
    boards = with_defaults or (source, destination)
    check = BoardCheck("A -> B", source, destination, ErrorLines({}), lambda name, size: refusal, lambda: boards)
    return check.result().findings


class FakeEvaluations:
    """Evaluations with given answers, by dump and description; a str is a reason why there are none."""

    def __init__(
        self,
        answers: Mapping[tuple[int, str], Mapping[Key, Answer] | str],
        lengths: Mapping[Key, Answer] | None = None,
        boards: Sequence[Board] = (),
        hooks: Mapping[tuple[str, str], bool] = MappingProxyType({}),
        compared: Mapping[str, tuple[Sent, Replayed]] = MappingProxyType({}),
        registered: Mapping[str, Answer | str] = MappingProxyType({}),
    ) -> None:
        self.registered = registered
        self.answers, self.lengths, self.boards, self.hooks, self.compared = answers, lengths, boards, hooks, compared
        self.wanted: list[tuple[int, Wanted]] = []

    def evaluate(self, dump: int, wanted: Sequence[Wanted]) -> dict[Wanted, Answers | str]:
        """Return the answers for sections."""
        self.wanted += [(dump, each) for each in wanted]
        found: dict[Wanted, Answers | str] = {}
        for each in wanted:
            known = self.answers.get((dump, each.description))
            if known is not None:
                found[each] = known if isinstance(known, str) else Answers("pc-q35-7.2", known, self.lengths)
        return found

    def machine(self, dump: int) -> str | None:
        """All VMs have one machine type."""
        return "pc-q35-7.2"

    def registration(self, dump: int, description: str) -> Answer | str | None:
        """Return what is given for the description."""
        return self.registered.get(description)

    def never_refuses(self, dump: int, hooks: Sequence[tuple[str, str]]) -> list[bool]:
        """Return what is given for the hooks."""
        return [self.hooks.get(each, False) for each in hooks]

    def compare_code(
        self, source: int, destination: int, wanted: Sequence[tuple[Wanted, Sequence[str]]]
    ) -> list[tuple[Sent, Replayed]]:
        """Return what is given for the descriptions."""
        self.fields = {each.description: tuple(fields) for each, fields in wanted}
        unknown = Sent(why="no VM"), Replayed(why="no VM")
        return [self.compared.get(each.description, unknown) for each, _ in wanted]

    def board(self, dump: int, *, defaults: bool = False) -> Board | None:
        """Return the given board."""
        return self.boards[dump] if self.boards else None

    def accepts(self, dump: int, block: str, size: int) -> str | None:
        """No VM is known."""


def evaluated(
    pair: tuple[DeviceDump, DeviceDump],
    answers: Mapping[tuple[int, str], Mapping[Key, Answer] | str],
    lengths: Mapping[Key, Answer] | None = None,
    boards: Sequence[Board] = (),
) -> TypeResult:
    """Check source -> destination with answers of VMs; return the result of the first type."""
    dumps = [Labelled("A", pair[0]), Labelled("B", pair[1])]
    evaluations: Any = FakeEvaluations(answers, lengths, boards)
    return check(dumps, directions=[(0, 1)], evaluations=evaluations).results["A -> B"][0]
