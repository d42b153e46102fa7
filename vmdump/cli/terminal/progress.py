"""Progress of vmdump bulk: a display on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from vmdump.cli.environment import printable

if TYPE_CHECKING:
    from vmdump.bulk.tally import Event, Tally
    from vmdump.cli.environment import Environment


class Progress:
    """Shows events and the tally on stderr. Imports rich only for a terminal."""

    def __init__(self, environment: Environment, tally: Tally) -> None:
        self._environment, self._tally, self._display = environment, tally, None
        self._began = time.monotonic()
        terminal = environment.progress_terminal()
        self._alone = contextlib.ExitStack()
        if terminal is not None:
            self._alone.enter_context(environment.without_activity())
            self._display = _make_display(terminal)
            self._display.start()
            self._bar = self._display.add_task("", total=None, current="", rate="", errors="")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the display."""
        if self._display is not None:
            self._display.stop()
            self._display = None
        self._alone.close()

    def show(self, event: Event) -> None:
        """Show a source that is done."""
        tally, error = self._tally, event.entry["error"]
        if error is not None:
            self._print(printable(error))
        if self._display is not None:
            rate = (tally.read + len(tally.errors)) / max(time.monotonic() - self._began, 1e-3)
            self._display.update(
                self._bar, completed=tally.done, total=tally.total, current=printable(event.title.rpartition("/")[2]),
                rate=f"{rate:.1f}/s", errors=f"{len(tally.errors)} failed" if tally.errors else "",
            )  # fmt: skip
        elif error is None and event.is_new:
            machines = len(event.entry["machines"])
            what = f"{machines} machine{'' if machines == 1 else 's'}, {event.entry['seconds']:.1f} s"
            self._print(f"[{tally.done}/{tally.total}] {event.title}: {what}")
        for report in event.entry["reports"] if event.is_new else []:
            self._print(f"{event.title}: {report}")

    def notice(self, text: str) -> None:
        """Show a notice, such as a dropped dump or a skipped file."""
        self._print(printable(text))

    def _print(self, text: str) -> None:
        if self._display is not None:
            self._display.console.print(f"vmdump: {printable(text)}", markup=False, highlight=False, soft_wrap=True)
        else:
            self._environment.error(text)


def _make_display(terminal: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Display

    return Display(
        BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(),
        TextColumn("[red]{task.fields[errors]}"), TextColumn("{task.fields[current]}", markup=False),
        console=Console(file=terminal, force_terminal=True), transient=True, refresh_per_second=5,
    )  # fmt: skip
