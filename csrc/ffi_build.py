"""Build ``vmdump._core``, the C core, with cffi in API mode.

C and cffi share headers: cffi reads the text between ``/* cdef: begin */`` and ``/* cdef: end */``; the rest (includes,
attributes, function-like macros) is for C only.
"""

import os
import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"
INCLUDE = ROOT / "vmdump" / "include"
#: In dependency order, for cffi.
HEADERS = [
    INCLUDE / "vmdump" / "vmstate.h",
    INCLUDE / "vmdump" / "module.h",
    CSRC / "base" / "error.h",
    CSRC / "tree" / "tree.h",
    CSRC / "stream" / "stream.h",
    CSRC / "stream" / "text_table.h",
    CSRC / "stream" / "shapes.h",
    CSRC / "stream" / "rows.h",
    CSRC / "dump" / "sink.h",
    CSRC / "dump" / "dump.h",
    CSRC / "parse" / "parse.h",
    CSRC / "base" / "ghash.h",
    CSRC / "savevm" / "savevm.h",
    CSRC / "guest" / "guest.h",
    CSRC / "guest" / "trace.h",
    CSRC / "guest" / "insn.h",
    CSRC / "guest" / "vex" / "vex.h",
    CSRC / "guest" / "objects" / "object.h",
    CSRC / "guest" / "objects" / "elf_object.h",
    CSRC / "guest" / "objects" / "pe_object.h",
    CSRC / "guest" / "objects" / "macho_object.h",
    CSRC / "guest" / "read_descriptions.h",
    CSRC / "guest" / "code_uses.h",
    CSRC / "guest" / "module_entries.h",
    CSRC / "guest" / "process.h",
    CSRC / "python" / "module_load.h",
    CSRC / "python" / "callbacks.h",
]
CDEF = re.compile(r"/\* cdef: begin \*/(.*?)/\* cdef: end \*/", re.DOTALL)


def relative(path: Path) -> str:
    """Return a path relative to the root, as builds from an sdist require."""
    return os.path.relpath(path, ROOT)


def include_name(header: Path) -> str:
    """Return the name by which C files include a header."""
    return str(header.relative_to(CSRC if CSRC in header.parents else INCLUDE))


ffibuilder = FFI()
ffibuilder.cdef("\n".join(text for header in HEADERS for text in CDEF.findall(header.read_text())))
ffibuilder.set_source(
    "vmdump._core",
    "".join(f'#include "{include_name(header)}"\n' for header in HEADERS),
    sources=sorted(relative(source) for source in CSRC.glob("**/*.c")),
    depends=sorted(relative(header) for header in [*CSRC.glob("**/*.h"), *INCLUDE.glob("vmdump/*.h")]),
    include_dirs=[relative(CSRC), relative(INCLUDE)],
    define_macros=[("_GNU_SOURCE", None)],
    libraries=["dl", "m", "pthread"],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-fvisibility=hidden"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
