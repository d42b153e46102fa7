"""Out-of-memory handling of the C core: fail each allocation in turn; errors are returned and nothing leaks."""

import shutil
import subprocess
from pathlib import Path

from support.dumps import read_real_dump
from support.paths import ROOT
from support.requirements import require


def test_every_allocation_fails_once(tmp_path: Path) -> None:
    """Tree, parser, engines, hash table and the walker of streams return VMD_NO_MEMORY and free their memory."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    require(compiler, "a C compiler")
    program = tmp_path / "alloc_failure"
    declarations = tmp_path / "declarations.h"
    declarations.write_text(
        "#include <stdlib.h>\nvoid *test_malloc(size_t);\nvoid *test_calloc(size_t, size_t);\n"
        "void *test_realloc(void *, size_t);\nvoid test_free(void *);\nvoid *test_malloc_kept(size_t);\n"
    )
    options = ["-std=gnu11", "-O0", "-D_GNU_SOURCE", f"-I{ROOT / 'csrc'}", "-include", declarations]
    templates = tmp_path / "templates.o"
    kept = ["-Dmalloc=test_malloc_kept", "-c", ROOT / "csrc/format/templates.c"]
    subprocess.run([compiler, *options, *kept, "-o", templates], check=True)
    folders = ("base", "tree", "parse", "dump", "savevm")
    sources = [
        ROOT / "tests/csrc/alloc_failure.c",
        *(ROOT / f"csrc/format/{name}.c" for name in ("extended", "measure")),
    ]
    sources += [file for each in folders for file in ROOT.glob(f"csrc/{each}/*.c")]
    renamed = [f"-D{name}=test_{name}" for name in ("malloc", "calloc", "realloc", "free")]
    subprocess.run([compiler, *options, *renamed, *sources, templates, "-o", program], check=True)
    dump = tmp_path / "dump.json"
    dump.write_bytes(read_real_dump("10.0.13", "avr"))
    done = subprocess.run([program, dump], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout) > 10
