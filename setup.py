"""The build of the C core, the man pages and the completions; all else about the package stands in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build import build

#: Makes the man pages and completions. A process of its own: the one that builds need not import vmdump.
SHARE = Path(__file__).resolve().parent / "packaging" / "share.py"


class BuildShare(Command):
    """Make the man pages and completions; they are installed in share/ of the prefix."""

    editable_mode = False

    def initialize_options(self) -> None:
        self.build_base = "build"

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_base", "build_base"))

    def run(self) -> None:
        directory = Path(self.build_base) / "share"
        subprocess.run([sys.executable, SHARE, directory], check=True)
        found = sorted(path for path in directory.rglob("*") if path.is_file())
        self.distribution.data_files = [
            (str(Path("share") / path.parent.relative_to(directory)), [str(path)]) for path in found
        ]

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class Build(build):
    """The build, with man pages and completions."""

    sub_commands = [*build.sub_commands, ("build_share", None)]  # noqa: RUF012


setup(
    cffi_modules=["csrc/ffi_build.py:ffibuilder"],
    cmdclass={"build": Build, "build_share": BuildShare},
    # One wheel serves every CPython from 3.11 on: cffi builds the core against the limited API.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
