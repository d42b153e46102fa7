"""What blocks a migration or a snapshot on the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_UNPLUG = "unplug the device before the migration, or shut the machine down and start it on the other host"


def _device(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.types_of(arguments["section"])
    yield from context.migratable(arguments["section"])


LINES = (
    line(
        "unmigratable",
        "State blocked by non-migratable device '{section}'",
        what="the source refuses to migrate or save: the device {section} is marked as unmigratable, because its "
        "authors have not written the code that saves its state",
        remedy=f"{_UNPLUG}; vmdump lint lists these devices",
        source="migration/savevm.c qemu_savevm_state_blocked",
        details=_device,
    ),
    line(
        "blocked_feature",
        "Migration is disabled when using feature '{feature}' in device '{device}'",
        what="the device {device} can't be migrated with its feature {feature}",
        remedy="turn the feature off (ivshmem: master=off, or role=peer devices unplugged), or unplug the device",
        source="hw/misc/ivshmem.c ivshmem_common_realize",
    ),
    line(
        "blocked_peer",
        "'peer' devices are not migratable",
        what="a shared memory device (ivshmem) whose memory belongs to another machine can't be migrated",
        remedy=_UNPLUG,
        source="hw/misc/ivshmem.c ivshmem_pre_save",
    ),
    line(
        "only_migratable",
        "Device {device} is not migratable, but --only-migratable was specified",
        "disallowing migration blocker (--only-migratable) for: {reason:line}",
        "disallowing migration blocker (migration/snapshot in progress) for: {reason:line}",
        what="a device that can't be migrated was refused",
        remedy="leave the device out, or QEMU's option -only-migratable",
        source="migration/migration.c migrate_add_blocker, migration/savevm.c check_migratable",
    ),
    line(
        "blocked_9p",
        "Migration is disabled when VirtFS export path '{path}' is mounted in the guest using mount_tag '{tag}'",
        what="the guest has mounted a directory of the host (9p), whose state can't be migrated",
        remedy="unmount it in the guest first",
        source="hw/9pfs/9p.c v9fs_attach",
    ),
    line(
        "blocked_vhost",
        "Migration disabled: vhost lacks VHOST_F_LOG_ALL feature.",
        "Migration disabled: vhost-user backend lacks VHOST_USER_PROTOCOL_F_LOG_SHMFD feature.",
        "vhost-user backend not capable of postcopy",
        "vhost-scsi does not support migration in all cases.",
        "Back-end does not support migration state transfer",
        "vhost transport does not support migration state transfer",
        'Back-end of {type} device {device} (tag: "{tag}") does not support migration through qemu',
        what="the backend of a vhost device can't log what it writes, or save its state",
        remedy="use a backend that can, or unplug the device before the migration",
        source="hw/virtio/vhost.c vhost_dev_init",
    ),
    line(
        "blocked_vfio",
        "{device}: VFIO migration is not supported in kernel",
        "{device}: Migration is disabled for VFIO device",
        "{device}: VFIO migration is not supported with postcopy migration",
        "VFIO device doesn't support migration",
        "migration is not supported in kernel",
        "Multiple VFIO devices migration is supported only if all of them support P2P migration",
        what="a device of the host is assigned to the guest, and its driver can't save its state",
        remedy="use a vendor driver with migration (mlx5_vfio_pci and the like), or unplug the device; virtio-net "
        "failover does so for network cards",
        source="hw/vfio/migration.c vfio_migration_realize",
    ),
    line(
        "blocked_block",
        "The {format} format used by node '{node}' does not support live migration",
        "Block format '{format}' used by device '{device}' does not support internal snapshots",
        "Device '{device}' is writable but does not support snapshots",
        "Block driver does not support snapshots",
        "no block device can store vmstate for snapshot",
        "vmstate block device '{device}' does not support snapshots",
        "vmstate block device '{device}' does not exist",
        what="a disk's format can't be migrated or can't store a snapshot",
        remedy="use qcow2 for the disks; savevm needs all writable disks in a format with snapshots",
        source="block/snapshot.c bdrv_all_can_snapshot, block/*.c",
    ),
    line(
        "snapshot",
        "Snapshot '{name}' does not exist in one or more devices",
        "Could not load snapshot '{name}' on '{device}': {error:line}",
        "Can't find snapshot",
        what="the snapshot is missing on one of the disks, or was not written completely",
        remedy="info snapshots lists those that all disks have",
        source="migration/savevm.c load_snapshot",
    ),
    line(
        "blocked_confidential",
        "SEV: Migration is not implemented",
        "SEV-SNP: Migration is not implemented",
        "protected VMs are currently not migratable.",
        "protected VMs are currently not migrateable.",
        what="the guest's memory is encrypted, and QEMU can't migrate such machines",
        source=("target/i386/sev.c sev_init", "target/s390x/kvm/pv.c"),
    ),
    line(
        "blocked_tpm",
        "Migration disabled: TPM emulator does not support migration",
        "The tpm-crb device does not support chunk migration with machine version less than 11.1",
        what="the TPM emulator (swtpm) or the TPM device can't save its state",
        remedy="use swtpm 0.1 or newer, and a newer machine type",
        source="backends/tpm/tpm_emulator.c tpm_emulator_block_migration",
    ),
    line(
        "blocked_busy",
        "There's a migration process in progress",
        "Live migration disabled: dump-guest-memory in progress",
        "Guest is waiting for an incoming migration",
        "Can't migrate the vm that was paused due to previous migration",
        "Outgoing migration blocked:",
        what="the machine is not in a state in which it can be migrated",
        source="migration/migration.c migrate_prepare",
    ),
    line(
        "blocked_chardev",
        "The vdagent chardev doesn't yet support migration",
        "The vdagent chardev doesn't support migration with machine version less than 10.1",
        what="the clipboard channel (-chardev qemu-vdagent) can't be migrated",
        remedy="leave it out, or use QEMU 10.1 with a machine type of 10.1 or newer",
        source="ui/vdagent.c vdagent_chr_open",
    ),
)
