"""A device could not be created, or not as on a real host, so it was not compared, or not fully."""

VERDICT = "unknown"
WHY = "Some devices need a resource of the host, such as a device file or a ROM, that the emulator does not have."
EXAMPLE = "vhost-user devices need a running back end"
REMEDY = "Give vmdump abi the arguments that the device needs after --, or unpack the packages that its files are in."
REFERENCES = ("QEMU 10.0.13 system/qdev-monitor.c qdev_device_add_from_qdict",)
MESSAGE = "in the {side} it was not compared, or not fully: {reason}"
