"""A QEMU binary as a source, without running it: the emulator boots it up to its class registry, which is read.

image.py is the entry point. struct_layout.py finds the layouts of QEMU's structs, classes.py walks device classes,
standalone.py finds standalone descriptions, and module_opener.py opens QEMU's own modules for vmdump.modules.loader.
"""
