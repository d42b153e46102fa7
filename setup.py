"""The build of the C core; all else about the package stands in pyproject.toml."""

from setuptools import setup

setup(
    cffi_modules=["csrc/ffi_build.py:ffibuilder"],
    # One wheel serves every CPython from 3.11 on: cffi builds the core against the limited API.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
