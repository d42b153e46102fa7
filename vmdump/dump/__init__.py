"""Dumps: devices over a native tree, the engines that write it, lookup by name, and the producer."""
