"""The C core compiles with musl as well: there are wheels for Alpine."""

import re
import shutil
import subprocess
from pathlib import Path

from support.paths import ROOT
from support.requirements import require


def test_compiles_with_musl(tmp_path: Path) -> None:
    """Each file of the C core compiles without a warning, with the options of its build."""
    require(shutil.which("musl-gcc"), "Debian's musl-tools")
    options = re.search(r"extra_compile_args=(\[.*?\])", (ROOT / "csrc/ffi_build.py").read_text())
    assert options is not None
    sources = sorted(ROOT.glob("csrc/**/*.c"))
    assert len(sources) > 50
    done = subprocess.run(
        ["musl-gcc", *re.findall(r'"(-[^"]+)"', options[1]), "-fsyntax-only", "-Werror", "-D_GNU_SOURCE",
         f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'vmdump/include'}", *sources],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
