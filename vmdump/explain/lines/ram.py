"""RAM: blocks by name and size, pages, and the memory that backs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_RESIZE = "system/physmem.c qemu_ram_resize (softmmu/physmem.c up to 8.1, exec.c up to 5.1)"
_PARSE = "migration/ram.c ram_load_precopy, parse_ramblocks"

#: What a RAM block is, by the end of its name: kind, and what its size depends on.
_KINDS = (
    (".rom", "option ROM", "the size of the ROM file, rounded up to a power of two. The files come from another "
     "package than QEMU (ipxe-qemu, seabios, edk2): install the source's, name it with romfile=FILE, or load with "
     "romfile= on both sides"),
    ("/rom@etc/acpi/tables", "ACPI tables", "the devices and the machine type, rounded up; resizable since QEMU 2.2"),
    ("/rom@etc/table-loader", "the loader script of ACPI tables", "the devices and the machine type"),
    ("/rom@etc/acpi/rsdp", "the ACPI root pointer", "the machine type"),
    ("pc.bios", "the BIOS", "the size of the BIOS file: -bios, the machine type's default (bios.bin has 128 KiB, "
     "bios-256k.bin 256 KiB), from another package than QEMU (seabios)"),
    ("pc.rom", "the area of option ROMs", "the machine type"),
    ("isa-bios", "the part of the BIOS below 1 MiB", "the BIOS file and, since QEMU 9.1, the property isa-bios-alias"),
    (".flash0", "firmware flash", "the size of the image behind pflash0: use the same firmware build"),
    (".flash1", "firmware variables", "the size of the image behind pflash1"),
    ("pc.ram", "the RAM of the machine", "-m, and the id of the memory backend"),
    ("mach-virt.ram", "the RAM of the machine", "-m, and the id of the memory backend"),
    ("ppc_spapr.ram", "the RAM of the machine", "-m, and the id of the memory backend"),
    (".ram", "the RAM of the machine", "-m, and the id of the memory backend"),
    ("vram", "video memory", "vgamem_mb, vram_size or max_outputs of the display device"),
    ("tpm-crb-cmd", "the buffer of a TPM", "the TPM device, and its property x-use-canonical-path or ppi"),
    ("sram", "memory on a chip", "the board or system on chip, fixed in each QEMU version"),
    ("ocram", "memory on a chip", "the board or system on chip, fixed in each QEMU version"),
)  # fmt: skip


def _block(name: str) -> Iterator[Row]:
    base = name.rpartition("/")[2] if not name.startswith("/rom@") else name
    for end, kind, depends in _KINDS:
        if base.endswith(end):
            owner = f", of the device at {name.rpartition('/')[0]}" if "/" in name and not name.startswith("/") else ""
            yield "block", f"{kind}{owner}"
            yield "depends on", depends
            return
    if "/" in name and not name.startswith("/"):
        yield "block", f"memory of the device at {name.rpartition('/')[0]}"
    elif name.startswith("/objects/"):
        yield "block", "a memory backend named by its path: the property x-use-canonical-path-for-ramblock-id, which "\
            "machine types of QEMU 3.1 and older set, differs"  # fmt: skip
    elif name.startswith("/rom@"):
        yield "block", "a file that the firmware reads over fw_cfg, kept in RAM"
    else:
        yield "block", "the machine's RAM, or a memory backend: its name is the id of the -object memory-backend-*"


def _sizes(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    sent, local = int(arguments["sent"], 16), int(arguments["local"], 16)
    yield "sizes", f"source {_bytes(sent)}, destination {_bytes(local)}"
    yield from _block(arguments["block"])
    yield from _rom(arguments["block"], context)


def _rom(block: str, context: Context) -> Iterator[Row]:
    """The file behind the ROM of a device; the block's name ends with the device's type."""
    typename = block.rpartition("/")[2].removesuffix(".rom")
    if context.image is None or not block.endswith(".rom") or "/" not in block:
        return
    rom = context.image.rom_of(typename)
    if rom is None:
        yield "file", f"{context.image.label} could not start {typename} in the emulator, or it has no ROM"
    elif rom.path is None:
        yield "file", f"{typename} loads {rom.name}, which is not in this system; give --root"
    else:
        yield "file", f"{rom.path}: {rom.size} bytes, so {typename}'s block has {_bytes(rom.block_size)} in this system"


def _unknown(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from _block(arguments["block"])


def _bytes(size: int) -> str:
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


LINES = (
    line(
        "ram_size",
        "Size mismatch: {block}: 0x{sent:x} != 0x{local:x}",
        "Length mismatch: {block}: 0x{sent:x} in != 0x{local:x}",
        what="the RAM block {block} has a different size in the stream than in the destination",
        remedy="make the sizes equal; a block that is resizable may be smaller in the source, any other must be equal",
        source=_RESIZE,
        details=_sizes,
    ),
    line(
        "ram_too_large",
        "Size too large: {block}: 0x{sent:x} > 0x{local:x}",
        "Length too large: {block}: 0x{sent:x} > 0x{local:x}",
        what="the resizable RAM block {block} is larger in the stream than the destination's maximum",
        remedy="the two sides have different devices or machine types; reduce what fills the block",
        source=_RESIZE,
        details=_sizes,
    ),
    line(
        "ram_unknown",
        'Unknown ramblock "{block}", cannot accept migration',
        "RAMBlock '{block}' not found on destination",
        what="the source has a RAM block {block}, and the destination has none of that name",
        remedy="the device that owns it is missing in the destination or has a different address; a ROM block goes "
        "away with romfile= (empty) or rombar=0 on both sides; a memory backend must have the same id",
        source=_PARSE,
        details=_unknown,
    ),
    line(
        "ram_not_migratable",
        "block {block} should not be migrated !",
        what="the source sends the RAM block {block}, which the destination does not migrate, such as shared memory",
        source=_PARSE,
        details=_unknown,
    ),
    line(
        "ram_page_size",
        "Mismatched RAM page size {block} (local) {local:d} != {sent:d}",
        what="post-copy needs pages of one size: block {block} is backed by pages of {local} bytes here, {sent} there",
        remedy="back the memory in the same way on both hosts: huge pages of one size, or none",
        source=_PARSE,
    ),
    line(
        "ram_address",
        "Mismatched GPAs for block {block} {sent:d}!= {local:d}",
        what="with x-ignore-shared, block {block} must have one guest address on both sides",
        remedy="use the same machine type, memory and devices",
        source=_PARSE,
        details=_unknown,
    ),
    line(
        "ram_flags",
        "Unknown combination of migration flags: 0x{flags:x}",
        what="a page's header has the flags 0x{flags}, which the destination does not know: the stream is damaged, or "
        "the source uses a capability (compress, xbzrle, multifd, mapped-ram) that is off or unknown here",
        remedy="set the same migration capabilities on both sides before the migration",
        source="migration/ram.c ram_load_precopy",
    ),
    line(
        "ram_offset",
        "Illegal RAM offset {offset:x}",
        what="a page lies outside of its RAM block: the block sizes differ, or the stream is damaged",
        source="migration/ram.c ram_load_precopy",
    ),
    line(
        "ram_block_id",
        "Can't find block {block}",
        what="the stream has pages of the RAM block {block}, which the destination lacks",
        source="migration/ram.c ram_block_from_stream",
        details=_unknown,
    ),
    line(
        "ram_blocks_number",
        "ram blocks mismatch (Number of blocks {local:d} vs {sent:d})",
        "ram blocks mismatch (Number of blocks {local:d} vs {sent:d}) Your QEMU command line parameters are probably "
        "not identical on both the source and destination.",
        what="RDMA: the two sides have {local} and {sent} RAM blocks",
        remedy="use equal command lines on both sides",
        source="migration/rdma.c qemu_rdma_registration_stop",
    ),
    line(
        "ram_bitmap",
        "ramblock '{block}' bitmap size mismatch (0x{sent:x} != 0x{local:x})",
        what="resuming post-copy: the bitmap of block {block} has different sizes on the two sides",
        source="migration/ram.c ram_dirty_bitmap_reload",
    ),
    line(
        "ram_postcopy_alignment",
        "Postcopy requires RAM blocks to be a page size multiple, block {block} is 0x{size:x} bytes with a page size "
        "of 0x{page:x}",
        what="post-copy is impossible: the size of block {block} is not a multiple of its page size",
        source="migration/postcopy-ram.c postcopy_ram_supported_by_host",
    ),
    line(
        "ram_poisoned",
        "Can't migrate this vm with hardware poisoned memory, please reboot the vm and try again",
        what="a page of the guest's memory is defective on this host; its contents are lost",
        remedy="reboot the guest first, which drops the page",
        source="migration/migration.c migrate_prepare",
    ),
    line(
        "target_page_bits",
        "Received TARGET_PAGE_BITS is {sent:d} but local is {local:d}",
        what="the source uses pages of 2^{sent} bytes for the guest's memory, the destination of 2^{local}",
        remedy="Arm: use the same machine type and CPU model, which decide the minimal page size",
        source="migration/savevm.c configuration_post_load",
    ),
    line(
        "postcopy_page_bits",
        "Postcopy needs matching target page sizes (s={sent:d} d={local:d})",
        "Postcopy needs matching RAM page sizes (s={sent:x} d={local:x})",
        what="post-copy needs equal page sizes on both hosts; the source has {sent}, the destination {local}",
        remedy="back the memory in the same way on both hosts, or migrate without post-copy",
        source="migration/savevm.c loadvm_postcopy_handle_advise",
    ),
)
