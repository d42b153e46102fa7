"""Packages that ship QEMU: archives and their unpacking."""
