"""Load functions of single devices and helpers, which refuse a state for reasons of their own."""

from __future__ import annotations

from vmdump.explain.known_line import line

_DAMAGED = "the stream is damaged, or the destination lost its position in it earlier; look at the first error line"

LINES = (
    line(
        "element_load",
        "{field} : failed to load {description} ({error:d})",
        "{field}: failed to load {description} ({error:d})",
        what="an element {description} of the list or tree {field} could not be loaded; the cause is in the line "
        "before",
        source="migration/vmstate-types.c get_gtree, get_qlist",
        wraps=True,
    ),
    line(
        "process_command",
        "Failed to load VM process command: stream error: {error:d}",
        "Failed to load vmstate version_id: {version:d}, ret: {error:d}",
        what="the stream ended, or an error of the connection occurred, while it was loaded",
        remedy="look at the source's log: it usually failed first",
        source="migration/savevm.c loadvm_process_command",
    ),
    line(
        "description_end",
        "VMSTATE not ending with VMS_END: {description}",
        what="the description {description} in this QEMU has no end: a defect of a patched QEMU",
        remedy="add VMSTATE_END_OF_LIST() to its fields",
        source="migration/savevm.c vmstate_check",
    ),
    line(
        "dbus_state",
        "Not enough data available to load for Id: '{id}'. Available data size: {given:d}, Actual vmstate size: "
        "{wanted:d}",
        "Invalid vmstate size: {size:d}",
        "Required VMState Id are missing: {id}",
        "VMState Id '{id}' is invalid.",
        "Duplicated VMState Id '{id}'",
        "Failed to restore Id '{id}'",
        what="a helper process (D-Bus VMState) is missing in the destination, or does not accept its state",
        remedy="start the same helpers with the same ids on both sides",
        source="backends/dbus-vmstate.c dbus_vmstate_post_load",
    ),
    line(
        "pci_subsystem",
        "Cannot migrate while device properties (subsys/subsys_ven) differ",
        what="the network card (e1000e) has other PCI subsystem ids in the destination",
        remedy="give its properties subsys and subsys_ven the source's values",
        source="hw/net/e1000e.c e1000e_post_load",
    ),
    line(
        "scsi_request",
        "invalid SCSI request migration data",
        "SCSI reservation key 0x{key:x} on device '{device}' not registered after migration, ignoring",
        "scsi-block migration rollback",
        what="a request or a reservation of a SCSI device could not be continued on the destination",
        remedy="migrate while the guest's disks are idle, with the same disks on both sides",
        source="hw/scsi/scsi-bus.c get_scsi_requests, hw/scsi/scsi-disk.c",
    ),
    line(
        "ipmi_values",
        "ipmi:{interface}: vmstate transfer received bad in value: {value:d}",
        "ipmi:{interface}: vmstate transfer received bad out values: {first:d} {second:d}",
        what="the IPMI interface {interface} has lengths in the stream that its buffers can't have",
        remedy=_DAMAGED,
        source="hw/ipmi/ipmi_bt.c, hw/ipmi/ipmi_kcs.c",
    ),
    line(
        "guest_clock",
        "Guest clock was not migrated. This could cause the guest to hang.",
        "Guest clock will not be migrated which could cause the guest to hang.",
        what="s390x: the guest's clock is missing in the stream, or can't be read: time jumps in the guest",
        remedy="look at the accelerator and the kernel of both hosts",
        source="hw/s390x/tod-kvm.c, hw/s390x/tod.c",
    ),
    line(
        "ram_resized",
        "RAM block '{block}' resized during postcopy state: {state:d}",
        what="a RAM block changed its size while post-copy was active, which can't work",
        remedy="migrate without post-copy, or when the guest is not booting",
        source="migration/ram.c ram_mig_ram_block_resized",
    ),
    line(
        "postcopy_vhost",
        "Failed to get postcopy_advise reply from vhost",
        "Failed to receive reply to postcopy_listen",
        "Failed to receive reply to postcopy_end",
        what="the vhost-user process does not take part in post-copy",
        remedy="use one that supports post-copy, or migrate without it",
        source="hw/virtio/vhost-user.c vhost_user_postcopy_advise and the like",
    ),
    line(
        "inflight",
        "inflight buffer subsection has not been loaded",
        what="requests in flight of a vhost-user device are missing in the stream",
        remedy="the source's device does not save them: use the same properties on both sides",
        source="hw/virtio/vhost-user-blk.c",
    ),
    line(
        "block_migration",
        "Unknown block migration flags: 0x{flags:x}",
        "Command options are incompatible with current migration capabilities",
        what="the disks were to be migrated with the memory (migrate -b), which QEMU 9.1 removed",
        remedy="copy the disks with NBD and blockdev-mirror",
        source="migration/block.c block_load",
    ),
    line(
        "transport",
        "Migration requires seekable transport (e.g. file)",
        "Migration requires multi-channel URIs (e.g. tcp)",
        "Migration requires streamable transport (eg unix)",
        "unknown migration protocol: {uri}",
        "unknown migration protocol",
        "uri is not a valid migration protocol",
        "'-incoming' was not specified on the command line",
        "The incoming migration has already been started",
        what="the URI does not fit the capabilities (mapped-ram needs a file, multifd several connections), or this "
        "QEMU was not started with -incoming",
        remedy="use a URI that fits, and -incoming defer where capabilities are to be set first",
        source="migration/migration.c migration_transport_compatible, qemu_start_incoming_migration",
    ),
    line(
        "run_time",
        "Cannot update device state while vm is running",
        "device_add not allowed while migrating",
        "device_del not allowed while migrating",
        "Guest memory access not allowed during migration",
        what="the command is not possible in this state of the machine",
        remedy="stop the machine, or wait for the migration to end",
        source="migration/savevm.c qmp_xen_load_devices_state, system/qdev-monitor.c",
    ),
    line(
        "xen_ram",
        "loadvm: {what} RAM loading not allowed on Xen",
        what="on Xen the memory is loaded by the toolstack, not by QEMU",
        remedy="restore the domain with xl or libvirt",
        source="migration/savevm.c qemu_loadvm_section_start_full",
    ),
    line(
        "usb_redirection",
        "usb-redir connection broken during migration",
        what="the connection that carries a redirected USB device was lost during the migration",
        remedy="plug the device again in the client",
        source="hw/usb/redirect.c usbredir_vm_state_change",
    ),
)
