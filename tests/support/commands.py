"""Command lines run in this process, in environments of their own."""

import io
from typing import Any

from vmdump.cli import main
from vmdump.cli.environment import Environment


class Result:
    """What a command line did."""

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
    """Runs a command line in an environment of its own."""
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
    """Runs a command line that ends with this code, prints nothing, and tells one line: that line."""
    result = run(*argv, **options)
    assert (result.code, result.bytes) == (code, b"")
    assert result.stderr.startswith("vmdump: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")
    return result.stderr
