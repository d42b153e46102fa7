"""Object files of each format, and what they are once they are mapped into a guest: see model.py."""
