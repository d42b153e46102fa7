"""Fixtures of the tests of the cache."""

from support.image_cache import setup

__all__ = ["setup"]
