"""The format of the stream: header, configuration, capabilities, channels, post-copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_HEADER = "migration/savevm.c qemu_loadvm_state_header"
_CONFIGURATION = "migration/savevm.c configuration_post_load"
_MULTIFD = "migration/multifd.c multifd_recv_unfill_packet, multifd_recv_initial_packet"
_POSTCOPY = "migration/savevm.c loadvm_postcopy_handle_advise"
_BITMAPS = "migration/block-dirty-bitmap.c dirty_bitmap_load"
_CAPABILITIES = "set the same capabilities on both sides before the migration (QMP migrate-set-capabilities)"


def _machine(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.machines(arguments["sent"], arguments["local"])


LINES = (
    line(
        "not_a_stream",
        "Not a migration stream",
        what="the data does not begin with QEVM: it is no migration stream, a container around one (a libvirt save "
        "file, a compressed file), or a channel of another kind reached the destination first",
        remedy="load a libvirt save file with virsh restore; decompress the data; connect the channels in order",
        source=_HEADER,
    ),
    line(
        "stream_version",
        "SaveVM v2 format is obsolete and don't work anymore",
        "SaveVM v2 format is obsolete and no longer supported",
        "Unsupported migration stream version",
        what="the stream has another format version than 3, the only one since QEMU 0.10",
        remedy="the data is damaged, or no migration stream",
        source=_HEADER,
    ),
    line(
        "configuration_missing",
        "Configuration section missing",
        what="the destination expects the configuration section (the name of the machine type), and the stream has "
        "none: the source's machine type does not send it (machine types of QEMU 2.3 and older), or the stream is "
        "from a QEMU without it",
        remedy="use the same machine type; -global migration.send-configuration=off on the destination accepts a "
        "stream without it",
        source=_HEADER,
    ),
    line(
        "machine_type",
        "Machine type received is '{sent}' and local is '{local}'",
        what="the source's machine type is {sent}, the destination's {local}. They must be the same: a machine type is "
        "the guest's view of the hardware",
        remedy="start the destination with -M {sent}. An alias such as pc, q35 or virt names a different type in each "
        "release: store the versioned name with the machine",
        source=_CONFIGURATION,
        details=_machine,
    ),
    line(
        "machine_type_unknown",
        'unsupported machine type: "{machine}"',
        "unsupported machine type",
        what="this QEMU does not have the machine type: it is older than the type, newer than the removal of the type "
        "(six years after its release), built without it, or another vendor's (pc-q35-rhel..., pc-i440fx-wily)",
        remedy="-M help lists the types of a QEMU, without running it vmdump dump BINARY -M help. A saved machine "
        "needs the QEMU that has its type",
        source="system/vl.c select_machine",
        details=lambda arguments, context: (
            context.machine(arguments["machine"]) if "machine" in arguments else iter(())
        ),
    ),
    line(
        "machine_type_deprecated",
        "Machine type '{machine}' is deprecated: {reason:line}",
        what="a warning: the machine type {machine} will be removed",
        remedy="nothing now; plan to start the machine with a newer type, which the guest sees as new hardware",
        source="system/vl.c qemu_create_machine",
        is_note=True,
    ),
    line(
        "capability",
        "Capability {capability} is {local}, but received capability is {sent}",
        what="the migration capability {capability} is {sent} on the source and {local} on the destination",
        remedy=_CAPABILITIES,
        source="migration/savevm.c configuration_validate_capabilities",
    ),
    line(
        "capability_unknown",
        "Received unknown capability {capability}",
        what="the source's migration capability {capability} is unknown here",
        remedy="turn it off on the source, or use a QEMU that has it",
        source="migration/savevm.c get_capability",
    ),
    line(
        "vmdescription",
        "Expected vmdescription section, but got {type:d}",
        what="the description of the stream must follow the devices, but the next byte is {type}: the destination "
        "lost its position in the stream, or the stream is corrupt",
        source="migration/savevm.c qemu_loadvm_state",
    ),
    line(
        "colo",
        "ENABLE_COLO command come in migration stream, but x-colo capability is not set",
        what="the source replicates (COLO), and the destination's capability x-colo is off",
        remedy=_CAPABILITIES,
        source="migration/migration.c migration_incoming_enable_colo",
    ),
    line(
        "postcopy_advise",
        "RAM postcopy is enabled but have 0 byte advise",
        "RAM postcopy is disabled but have 16 byte advise",
        "CMD_POSTCOPY_ADVISE invalid length ({length:d})",
        what="the capability postcopy-ram is on on one side only",
        remedy=_CAPABILITIES,
        source=_POSTCOPY,
    ),
    line(
        "postcopy_state",
        "CMD_POSTCOPY_ADVISE in wrong postcopy state ({state:d})",
        "CMD_POSTCOPY_LISTEN in wrong postcopy state ({state:d})",
        "CMD_POSTCOPY_RUN in wrong postcopy state ({state:d})",
        "CMD_POSTCOPY_RAM_DISCARD in wrong postcopy state ({state:d})",
        what="a command of post-copy came when the destination was not ready for it: the stream is damaged, or the "
        "source a defective version",
        source="migration/savevm.c loadvm_postcopy_handle_listen and the like",
    ),
    line(
        "postcopy_unsupported",
        "Postcopy is not supported",
        "Unable to open return-path for postcopy",
        "Postcopy is not compatible with ignore-shared",
        "Postcopy is not yet compatible with multifd",
        what="post-copy is impossible here: userfaultfd is missing or not permitted, or another capability excludes it",
        remedy="allow userfaultfd (sysctl vm.unprivileged_userfaultfd=1), or migrate without post-copy",
        source="migration/postcopy-ram.c postcopy_ram_supported_by_host",
    ),
    line(
        "postcopy_lost",
        "Detected IO failure for postcopy. Migration paused.",
        "loadvm failed during postcopy: {error:line}",
        "postcopy_ram_fault_thread: Fault outside guest: {address}",
        what="post-copy lost its connection or failed: each host has a part of the memory",
        remedy="recover with QMP migrate-recover and migrate with resume; if that fails, the machine is lost",
        source="migration/savevm.c postcopy_pause_incoming",
    ),
    line(
        "multifd_packet",
        "multifd: received packet magic {sent:x} expected {local:x}",
        "multifd: received packet magic {sent:x}, expected {local:x}",
        "multifd: received packet version {sent:d} expected {local:d}",
        "multifd: received packet version {sent:d}, expected {local:d}",
        "multifd: received channel version {sent:d} expected {local:d}",
        what="a multifd channel has other data ({sent}) than expected ({local}): another protocol version, or another "
        "connection reached the port",
        remedy="use QEMUs of similar versions, with the same multifd settings, and TLS on both or neither side",
        source=_MULTIFD,
    ),
    line(
        "multifd_channels",
        "multifd: received channel id {sent:d} exceeds channel count {local:d}",
        "multifd: received channel id {sent:d} is greater than number of channels {local:d}",
        "multifd: received id '{sent}' already setup'",
        what="the source opened more multifd channels than the destination expects",
        remedy="set multifd-channels to the same number on both sides",
        source=_MULTIFD,
    ),
    line(
        "multifd_uuid",
        "multifd: received uuid '{sent}' and expected uuid '{local}' for channel {channel}",
        what="the machine that connected has another UUID than the destination",
        remedy="start the destination with the source's -uuid",
        source=_MULTIFD,
    ),
    line(
        "multifd_pages",
        "multifd: received packet with {sent:d} pages and expected maximum pages are {local:d}",
        "multifd: received packet with {sent:d} pages, expected {local:d}",
        "multifd: received packet with {sent:d} non-zero pages, which exceeds maximum expected pages {local:d}",
        "multifd: unknown ram block {block}",
        what="a multifd packet does not fit: other page sizes, RAM blocks or versions on the two sides",
        remedy="compare memory backends, page sizes and QEMU versions",
        source=_MULTIFD,
    ),
    line(
        "multifd_compression",
        "multifd {channel:d}: flags received {sent:x} flags expected {local:x}",
        what="the two sides compress multifd pages differently",
        remedy="set the same multifd-compression on both sides",
        source="migration/multifd-zlib.c, multifd-zstd.c",
    ),
    line(
        "mapped_ram",
        "Migration mapped-ram capability version not supported (expected <= {local:d}, got {sent:d})",
        "Migration mapped-ram header has invalid page_size {sent:d} (expected {local:d})",
        "Error reading ramblock {block} pages, region has bad alignment",
        "Could not read whole mapped-ram migration header (expected {local:d}, got {sent:d} bytes)",
        what="the file was not written with mapped-ram, is truncated, or has a different version or page size",
        remedy="set the capability mapped-ram as when the file was written",
        source="migration/ram.c parse_ramblock_mapped_ram",
    ),
    line(
        "bitmap",
        "Bitmap with the same name ('{bitmap}') already exists on destination",
        "Migrated bitmap granularity doesn't match the destination bitmap '{bitmap}' granularity",
        "Error: Unknown bitmap alias '{bitmap}' on node '{node}' (alias '{alias}')",
        "Error: Unknown node alias '{node}'",
        "Unknown flags in migrated dirty bitmap header: {flags:x}",
        what="a dirty bitmap of a disk does not fit the destination's disks",
        remedy="give the nodes the same names on both sides, or map them with block-bitmap-mapping",
        source=_BITMAPS,
    ),
    line(
        "uuid",
        "UUID received is {sent} and local is {local}",
        what="the capability validate-uuid is on, and the machines have different UUIDs: {sent} and {local}",
        remedy="start the destination with the source's -uuid",
        source="migration/savevm.c configuration_post_load",
    ),
    line(
        "connection",
        "Unable to read from socket: {error:line}",
        "Unable to write to socket: {error:line}",
        "Failed to connect to '{address}': {error:line}",
        "Unexpected end-of-file before all data were read",
        "Unexpected end-of-file before all bytes were read",
        what="the connection broke: the other side exited or the network failed",
        remedy="look at the other side's log: it usually failed first, with the cause",
        source="io/channel-socket.c, io/channel.c",
    ),
)
