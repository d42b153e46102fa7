"""The cache of parsed QEMU binaries."""
