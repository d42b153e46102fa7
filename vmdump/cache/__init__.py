"""The user's cache of what was read from QEMU binaries: its folder and its entries."""
