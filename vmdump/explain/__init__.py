"""Explains the lines that QEMU prints when a machine cannot be started, saved or loaded.

lines/ has the known lines, one file a subject; explainer.py finds them in a text; image.py reads a QEMU binary: its
format strings, the names of virtio features and the properties that set them.
"""
