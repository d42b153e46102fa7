"""Headers for C modules."""

from pathlib import Path


def get_include() -> str:
    """Return the directory to pass to the C compiler with -I for ``#include <vmdump/module.h>``.

    >>> import os, vmdump
    >>> os.path.exists(os.path.join(vmdump.get_include(), "vmdump", "module.h"))
    True
    """
    return str(Path(__file__).parent)
