"""Run vmdump command lines in this process."""

import io

from vmdump.cli import main
from vmdump.cli.environment import Environment


class Result:
    """Exit code and output of a command line."""

    def __init__(self, *argv: object, stdin: bytes = b"") -> None:
        keyboard = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))
        stdout, stderr = io.StringIO(), io.StringIO()
        environment = Environment(stdin=keyboard, stdout=stdout, stderr=stderr, environ={})
        self.code = main([str(arg) for arg in argv], environment)
        self.out, self.err = stdout.getvalue(), stderr.getvalue()
