"""Sources of dumps, a file each: what a registry has, what a file says, what a QEMU that is run writes."""
