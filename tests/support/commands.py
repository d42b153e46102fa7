"""Run vmdump command lines in this process, with streams and environment variables of the test's own."""

import io
from typing import Any

from vmdump.cli import main
from vmdump.cli.environment import Environment


class Result:
    """Exit code and output of a command line."""

    def __init__(self, code: int, stdout: bytes, stderr: str) -> None:
        self.code, self.bytes, self.stderr = code, stdout, stderr
        self.stdout = stdout.decode()


def run(
    *argv: object,
    stdin: bytes = b"",
    stdout: type[io.TextIOWrapper] = io.TextIOWrapper,
    encoding: str = "utf-8",
    **environ: str,
) -> Result:
    """Run a command line with its own streams and environment variables."""
    out, err = io.BytesIO(), io.StringIO()
    environment = Environment(
        stdin=io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))),  # type: ignore[arg-type]
        stdout=stdout(out, encoding=encoding),
        stderr=err,
        environ=environ,
    )
    code = main([str(arg) for arg in argv], environment)
    environment.stdout.flush()
    return Result(code, out.getvalue(), err.getvalue())


def run_failing(code: int, *argv: object, **options: Any) -> str:
    """Check that a command line ends with this code and prints one line, on stderr only; return that line."""
    result = run(*argv, **options)
    assert (result.code, result.bytes) == (code, b"")
    assert result.stderr.startswith("vmdump: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")
    return result.stderr
