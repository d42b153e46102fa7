"""The headers that C modules are compiled against."""

from pathlib import Path


def get_include() -> str:
    """The directory to give to the C compiler with -I, so that ``#include <vmdump/module.h>`` is found.

    >>> import os, vmdump
    >>> os.path.exists(os.path.join(vmdump.get_include(), "vmdump", "module.h"))
    True
    """
    return str(Path(__file__).parent)
