"""What a command sees of the world: its streams, whether they are terminals, variables; and what it may answer."""

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

#: What errors call standard output.
STDOUT = "<stdout>"


class ExitStatus(int):
    """Exit codes of all commands. No enum.IntEnum: to import enum takes a tenth of the time of a whole dump."""

    DONE: ClassVar[ExitStatus]  #: done; nothing found
    FINDINGS: ClassVar[ExitStatus]  #: done; something found
    USAGE: ClassVar[ExitStatus]  #: the command line is wrong
    FAILED: ClassVar[ExitStatus]  #: could not complete
    INTERRUPTED: ClassVar[ExitStatus]  #: Ctrl-C


ExitStatus.DONE, ExitStatus.FINDINGS, ExitStatus.USAGE, ExitStatus.FAILED = map(ExitStatus, range(4))
ExitStatus.INTERRUPTED = ExitStatus(130)


class Environment:
    """The streams and environment variables of one run; tests make their own."""

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """The process's own where not given."""
        self._stdin = sys.stdin if stdin is None else stdin
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self.environ = os.environ if environ is None else environ

    @property
    def stdin(self) -> BufferedReader:
        """Where a source called - comes from. Raises SourceError when the process was started without one."""
        if self._stdin is None:
            raise SourceError("stdin is closed; give the source as a file")
        return self._stdin.buffer  # type: ignore[return-value]  # which a process's own stdin has

    @property
    def stdout(self) -> TextIO:
        """Where results go. Raises OutputError when the process was started without one."""
        if self._stdout is None:
            raise OutputError("stdout is closed; send it somewhere, or use -o FILE")
        return self._stdout

    @property
    def draws(self) -> bool:
        """Whether stdout is a terminal that wants to be drawn on: colours, boxes. NO_COLOR and TERM=dumb say no."""
        return (
            self.stdout.isatty()
            and not self.environ.get("NO_COLOR")
            and self.environ.get("TERM", "dumb") not in ("", "dumb")
        )

    @property
    def width(self) -> int:
        """How many characters a line of prose has: as many as the terminal, from 40 to 120; 100 where there is none."""
        if not self.stdout.isatty():
            return 100
        try:
            columns = os.get_terminal_size(self.stdout.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return min(max(columns or 80, 40), 120)

    def can_print(self, text: str) -> bool:
        """Whether stdout's encoding has all the characters of text."""
        return _encodable(text, self.stdout) == text

    def print(self, text: str, end: str = "\n", *, is_drawn: bool = False) -> None:
        """Prints a result to stdout, with end where that is not its end, and sends it off: a failure is noticed here.

        A character that stdout's encoding does not have is printed as its escape; on a terminal, any that can't be
        printed, unless the text is drawn: then it is printable already, and has the terminal's sequences in it.
        """
        with self.sending() as stdout:
            if not is_drawn and not text.isprintable() and stdout.isatty():
                text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
            stdout.write(_encodable(text if text.endswith(end) else text + end, stdout))
            stdout.flush()

    @contextlib.contextmanager
    def sending(self) -> Iterator[TextIO]:
        """stdout, to write to in the body. Raises OutputError, which names it, for what the system refuses."""
        stdout = self.stdout
        try:
            yield stdout
        except OSError as error:
            _abandon(stdout)
            raise OutputError(error.errno, error.strerror, STDOUT) from error

    def error(self, message: object) -> None:
        """Tells an error, on one line of stderr. Where that is not possible there is nobody left to tell."""
        self._tell(f"vmdump: {printable(' '.join(str(message).splitlines()))}\n")

    def progress_terminal(self) -> TextIO | None:
        """stderr, where it is a terminal that wants to be drawn on; a display that changes goes there."""
        stderr = self._stderr
        if stderr is None or self.environ.get("NO_COLOR") or self.environ.get("TERM", "dumb") in ("", "dumb"):
            return None
        return stderr if stderr.isatty() else None

    def traceback(self) -> None:
        """Prints where the exception that is being handled comes from: for who sets VMDUMP_DEBUG."""
        from traceback import format_exc

        self._tell(format_exc())

    def _tell(self, text: str) -> None:
        if self._stderr is None:
            return
        try:
            self._stderr.write(_encodable(text, self._stderr))
            self._stderr.flush()
        except OSError:
            _abandon(self._stderr)


def printable(text: str) -> str:
    r"""The text with what can't be printed made visible.

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
    """Keeps the interpreter from trying the same again at its end, where a failure changes the exit code."""
    if stream is sys.__stdout__ or stream is sys.__stderr__:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
