"""Output for terminals: tables, styles, device trees, progress."""
