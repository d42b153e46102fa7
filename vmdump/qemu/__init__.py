"""Facts of QEMU itself: its targets, which machine types they have, and the lines that it prints."""
