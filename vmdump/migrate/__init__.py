"""Saves and loads of emulated machines, and their outcomes."""
