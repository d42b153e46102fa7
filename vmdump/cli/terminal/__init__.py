"""Terminal output: tables, styles, device trees, progress."""
