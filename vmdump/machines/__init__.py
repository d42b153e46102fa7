"""Machine types of a QEMU binary, read from emulated machines that its own code sets up.

- model.py: the values, plain dataclasses; mapping.py: ``vmdump.open(binary).machines``, a mapping to them.
- reader.py boots the binary, and reads with query.py (machine types), compat_props.py, objects.py (the QOM tree and
  its properties), stream.py (sections, RAM blocks, fields) and cpu.py.
- answers.py: the cache of what was read. differences.py: two machine types compared.
"""
