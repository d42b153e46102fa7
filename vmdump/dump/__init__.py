"""The dump: devices over a native tree, the engines that write it, and its producer."""
