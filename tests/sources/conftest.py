"""Fixtures of the tests of sources."""

from support.image_cache import setup

__all__ = ["setup"]
