"""What several tests share; importable as ``support``, for tests/ is on the path."""
