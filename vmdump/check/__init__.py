"""Can one QEMU's device state be loaded by another?"""
