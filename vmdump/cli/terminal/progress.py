"""Progress of vmdump bulk: a step of vmdump.activity, which a terminal shows, and lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.activity import Step
from vmdump.cli.environment import printable

if TYPE_CHECKING:
    from vmdump.bulk.tally import Event, Tally
    from vmdump.cli.environment import Environment


class Progress:
    """Shows events and the tally on stderr."""

    def __init__(self, environment: Environment, tally: Tally) -> None:
        self._environment = environment
        self._tally = tally
        self._step = Step("reading sources")
        self._is_terminal = environment.progress_terminal() is not None

    def __enter__(self) -> Progress:
        self._step.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._step.__exit__(*exc_info)

    def show(self, event: Event) -> None:
        """Show a source that is done."""
        tally, error = self._tally, event.entry["error"]
        self._step.done, self._step.total = tally.done, tally.total
        if tally.errors:
            self._step.what = f"reading sources ({len(tally.errors)} failed)"
        if error is not None:
            self.notice(error)
        elif event.is_new and not self._is_terminal:
            machines = len(event.entry["machines"])
            what = f"{machines} machine{'' if machines == 1 else 's'}, {event.entry['seconds']:.1f} s"
            self.notice(f"[{tally.done}/{tally.total}] {event.title}: {what}")
        for report in event.entry["reports"] if event.is_new else []:
            self.notice(f"{event.title}: {report}")

    def notice(self, text: str) -> None:
        """Show a notice, such as a dropped dump or a skipped file."""
        self._environment.error(printable(text))
