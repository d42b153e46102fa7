"""An emulated QEMU: its objects in guest memory, the host it sees, and its start-up, on Unicorn."""
