# The C core, as cffi builds it (csrc/ffi_build.py): its declarations are those of the headers in csrc/.
from typing import Any

ffi: Any
lib: Any
