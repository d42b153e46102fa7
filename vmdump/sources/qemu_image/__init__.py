"""A QEMU binary as a source, without running it: the emulator brings it up to its class registry, and it is read there.

image.py puts it together. machine_types.py lists machine types, struct_layout.py finds the layouts of QEMU's structs,
classes.py walks device classes, standalone.py finds descriptions on no device class, and module_opener.py opens QEMU's
own modules for vmdump.modules.loader.
"""
