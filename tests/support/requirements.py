"""What a test needs of the machine that it runs on."""

import os

import pytest


def require(available: object, what: str) -> None:
    """Skip the test if a prerequisite is missing; in CI, fail."""
    if not available:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {what}")
