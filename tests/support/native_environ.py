"""The environment of native programs that tests run."""

import os


def native_environ() -> dict[str, str]:
    """Return this process's environment without what .ci/sanitize preloads: QEMU's tools deadlock at exit with it."""
    return {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
