"""The environment of a command: streams, terminal, environment variables; and the exit codes."""

from __future__ import annotations

import contextlib
import os
import sys

from vmdump.errors import OutputError, SourceError

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader
    from typing import ClassVar, TextIO

    from vmdump.cli.terminal.activity import ActivityDisplay

#: Name of standard output in errors.
STDOUT = "<stdout>"


class ExitStatus(int):
    """Exit codes of all commands. Not an IntEnum: importing enum takes a tenth of the time of a whole dump."""

    DONE: ClassVar[ExitStatus]  #: done; nothing found
    FINDINGS: ClassVar[ExitStatus]  #: done; something found
    USAGE: ClassVar[ExitStatus]  #: the command line is wrong
    FAILED: ClassVar[ExitStatus]  #: could not complete
    INTERRUPTED: ClassVar[ExitStatus]  #: Ctrl-C


ExitStatus.DONE, ExitStatus.FINDINGS, ExitStatus.USAGE, ExitStatus.FAILED = map(ExitStatus, range(4))
ExitStatus.INTERRUPTED = ExitStatus(130)


class Environment:
    """The streams and environment variables of one run. Tests create their own."""

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Args: replacements for the process's own streams and environment variables."""
        self._stdin = sys.stdin if stdin is None else stdin
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self.environ = os.environ if environ is None else environ
        self._display: ActivityDisplay | None = None

    @property
    def stdin(self) -> BufferedReader:
        """The stream of the source "-". Raises SourceError if the process has no standard input."""
        if self._stdin is None:
            raise SourceError("stdin is closed; give the source as a file")
        return self._stdin.buffer  # type: ignore[return-value]  # a BufferedReader

    @property
    def stdout(self) -> TextIO:
        """The stream of results. Raises OutputError if the process has no standard output."""
        if self._stdout is None:
            raise OutputError("stdout is closed; redirect it, or use -o FILE")
        return self._stdout

    @property
    def draws(self) -> bool:
        """Whether stdout is a terminal for colours and boxes, not disabled by NO_COLOR or TERM=dumb."""
        return (
            self.stdout.isatty()
            and not self.environ.get("NO_COLOR")
            and self.environ.get("TERM", "dumb") not in ("", "dumb")
        )

    @property
    def width(self) -> int:
        """The width of prose in characters: the terminal's, from 40 to 120; 100 without a terminal."""
        if not self.stdout.isatty():
            return 100
        try:
            columns = os.get_terminal_size(self.stdout.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return min(max(columns or 80, 40), 120)

    def can_print(self, text: str) -> bool:
        """Return whether stdout's encoding can represent text."""
        return _encodable(text, self.stdout) == text

    def print(self, text: str, end: str = "\n", *, is_drawn: bool = False) -> None:
        """Print a result to stdout, followed by end unless it ends so, and flush. Raises OutputError.

        Characters that stdout's encoding lacks are escaped; on a terminal, unprintable characters, too.

        Args:
            text: the result.
            end: the last characters.
            is_drawn: text contains terminal sequences, and is printable otherwise.
        """
        with self.sending() as stdout:
            if not is_drawn and not text.isprintable() and stdout.isatty():
                text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
            stdout.write(_encodable(text if text.endswith(end) else text + end, stdout))
            stdout.flush()

    @contextlib.contextmanager
    def sending(self) -> Iterator[TextIO]:
        """Yield stdout for writing. Turns an OSError of the body into an OutputError that names stdout."""
        stdout = self.stdout
        try:
            with self.without_activity():
                yield stdout
        except OSError as error:
            _abandon(stdout)
            raise OutputError(error.errno, error.strerror, STDOUT) from error

    def error(self, message: object) -> None:
        """Report an error as one line on stderr. Ignores errors of stderr itself."""
        self._write_error(f"vmdump: {printable(' '.join(str(message).splitlines()))}\n")

    def progress_terminal(self) -> TextIO | None:
        """Return stderr if it is a terminal for a progress display, else None."""
        stderr = self._stderr
        if stderr is None or self.environ.get("NO_COLOR") or self.environ.get("TERM", "dumb") in ("", "dumb"):
            return None
        return stderr if stderr.isatty() else None

    @contextlib.contextmanager
    def showing_activity(self) -> Iterator[None]:
        """Show what the body is doing, if stderr is a terminal: see vmdump.activity."""
        self._display = self._make_display()
        try:
            yield
        finally:
            if self._display is not None:
                self._display.stop()
                self._display = None

    def _make_display(self) -> ActivityDisplay | None:
        terminal = self.progress_terminal()
        if terminal is None:
            return None
        from vmdump.cli.terminal.activity import ActivityDisplay

        try:
            return ActivityDisplay(terminal)
        except OSError:  # the terminal of another user, or a stream that only claims to be one
            return None

    def without_activity(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which nothing else is drawn on the terminal."""
        return contextlib.nullcontext() if self._display is None else self._display.paused()

    def traceback(self) -> None:
        """Print the traceback of the exception being handled, for VMDUMP_DEBUG."""
        from traceback import format_exc

        self._write_error(format_exc())

    def _write_error(self, text: str) -> None:
        if self._stderr is None:
            return
        try:
            with self.without_activity():
                self._stderr.write(_encodable(text, self._stderr))
                self._stderr.flush()
        except OSError:
            _abandon(self._stderr)


def printable(text: str) -> str:
    r"""Return text with unprintable characters escaped.

    >>> print(printable("\x1b[31mred"), printable(os.fsdecode(b"caf\xe9.json")))
    \x1b[31mred caf\xe9.json
    """
    if text.isprintable():
        return text
    from vmdump.report.characters import visible

    return visible(text)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _abandon(stream: TextIO) -> None:
    """Redirect a broken stream to /dev/null, so that the final flush at exit does not fail and change the exit code."""
    if stream is sys.__stdout__ or stream is sys.__stderr__:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
