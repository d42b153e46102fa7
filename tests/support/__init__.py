"""Code shared by several tests, imported as ``support`` (pyproject.toml puts tests/ on pytest's path)."""
