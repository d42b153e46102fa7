"""A QEMU binary as a source, without running it: mapped, emulated up to its class registry, and read.

elf.py maps objects, guest.py calls their functions, host.py says what their host has. functions.py finds QEMU's
functions, by symbol or, with what code.py knows of machine code, by what they do. boot.py does what QEMU does before it
would dump, qemu_module.py opens QEMU's own modules for `vmdump.modules.loader`'s loader, layout.py finds out how its structs
are laid out, classes.py and roots.py what else there is than QEMU shows. image.py puts it together, cache.py remembers
what it gave. The emulator and the functions of libc and GLib that the guest sees are in
csrc/guest*.
"""
