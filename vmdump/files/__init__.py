"""Files of users: opened without blocking, decompressed within limits, and named by their first bytes."""
