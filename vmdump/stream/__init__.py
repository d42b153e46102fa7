"""Saved VMs: containers, the migration streams in them, and the state of their devices.

container.py finds the stream in a file (libvirt.py, qcow2.py: their formats); walk.py walks it with the C core
(csrc/savevm/); vmdescription.py and by_image.py divide a section into fields with values.
"""
