"""Messages that are neither results nor errors: log records and deprecation warnings. Imported when there is one."""

from __future__ import annotations

#: The name of the logger. Modules that do not load, defects of a binary and the like are logged as warnings.
LOGGER = "vmdump"


def log_warning(message: object) -> None:
    """Log a warning to the logger ``vmdump``, the default of the parameters called report.

    Without a configuration of logging, Python prints warnings to stderr.

    >>> import logging
    >>> records = []
    >>> handler = logging.Handler()
    >>> handler.emit = lambda record: records.append((record.name, record.levelname, record.getMessage()))
    >>> logging.getLogger("vmdump").addHandler(handler)
    >>> log_warning("hw-usb-host: of another build")
    >>> logging.getLogger("vmdump").removeHandler(handler)
    >>> records
    [('vmdump', 'WARNING', 'hw-usb-host: of another build')]
    """
    from logging import getLogger

    getLogger(LOGGER).warning("%s", message)


def warn_deprecated(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that a public name has been renamed. Old names work for one release.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_deprecated("vmdump.Root", "vmdump.StandaloneVMState")
    >>> print(caught[0].message)
    vmdump.Root is deprecated and will be removed in the next release; use vmdump.StandaloneVMState
    """
    from warnings import warn

    warn(
        f"{old} is deprecated and will be removed in the next release; use {new}",
        DeprecationWarning,
        stacklevel=stacklevel,
    )
