"""Sections of the stream: their names, versions, subsections and footers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_LOADVM = "migration/savevm.c qemu_loadvm_section_start_full"
_PART = "migration/savevm.c qemu_loadvm_section_part_end"
_LOAD_STATE = "migration/vmstate.c vmstate_load_state"
_SUBSECTION = "migration/vmstate.c vmstate_subsection_load"

_CONFIGURE = (
    "compare the two command lines: machine type with its version, -device options with their addresses, devices that "
    "were hot-plugged or unplugged, and the accelerator"
)
_VERSIONS = (
    "load the state with a QEMU at least as new as the one that saved it, or, if it is newer already, report the "
    "change of version to its vendor: a machine type must keep the versions that it sends"
)

#: Sections that depend on something other than a -device option, by the name of the section.
_ORIGINS = {
    "kvmclock": "KVM's clock: registered on x86 hosts with KVM, unless kvmclock is off; not with TCG",
    "kvm-tpr-opt": "KVM's TPR optimisation, present with KVM's in-kernel or user-space local APIC; not with TCG",
    "kvm-pit": "KVM's in-kernel timer; without KVM the section is called i8254",
    "i8254": "the emulated timer; with KVM's in-kernel timer the section is called kvm-pit",
    "slirp": "user-mode networking (-netdev user, or the default network)",
    "s390_css": "the channel subsystem of s390x machines, registered by the board",
    "timer": "the virtual clock, registered for every machine",
    "globalstate": "the run state, sent by machine types of QEMU 2.4 and newer",
    "ram": "the RAM of the machine, registered for every machine",
    "dirty-bitmap": "dirty bitmaps of disks, with the capability dirty-bitmaps",
    "replay": "record/replay (-icount rr=...)",
    "spapr/htab": "the hash table of pseries machines",
}


def _missing_device(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    section = arguments["section"]
    path, _, name = section.rpartition("/")
    if origin := _ORIGINS.get(section) or _ORIGINS.get(name):
        yield "section", f"{section}: {origin}"
    elif path:
        yield "section", f"{name}, of the device at {path}"
    if arguments["instance"] != "0":
        yield "instance", f"{arguments['instance']}: the source has more devices of this kind than the destination"
    yield from context.types_of(section)


def _types(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.types_of(arguments["section"])


#: Sections whose hooks refuse a state without a message, and what they compare.
_SILENT = {
    "cpu": "on Arm, post_load refuses a list of system registers (cpreg_vmstate_indexes) with one that this CPU does "
    "not have: a different -cpu or feature, a different QEMU version with TCG, a different host kernel with KVM",
    "ram": "a read of the stream failed: the source ended, or the file is truncated",
}


def _failed(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    section = arguments["section"]
    yield from context.types_of(section)
    if context.has_cause:
        return
    yield "cause", "no line here says why: a hook or a field refused the state without a message, or a line is missing"
    if usual := _SILENT.get(section):
        yield "usual cause", usual
    yield from context.hooks_of(section)


def _length(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.types_of(arguments["section"])
    yield from context.defects_of(arguments["section"])


def _described(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    yield from context.types_of(arguments["description"])


def _version(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    name = arguments.get("section") or arguments["description"]
    yield from context.types_of(name)
    yield from context.version(name, int(arguments["version"]))


LINES = (
    line(
        "missing_footer",
        "Missing section footer for {section}",
        what="the destination read fewer or more bytes for {section} than the source sent, so their descriptions "
        "differ: a section must be followed by the byte 0x7e, and another byte was there",
        remedy="find the field, subsection or test that differs (vmdump check), and how the source could be made not "
        "to send it: usually a property of the machine type that one side lacks. Running the QEMU of the source "
        "on the destination avoids it",
        source="migration/savevm.c check_section_footer",
        details=_length,
    ),
    line(
        "footer_mismatch",
        "Mismatched section id in footer for {section} - read 0x{read:x} expected 0x{expected:x}",
        what="{section} is followed by the footer of another section: the destination read fewer or more bytes than "
        "the source sent, or the stream is corrupt",
        remedy="as for a missing section footer: vmdump check finds the fields that differ",
        source="migration/savevm.c check_section_footer",
        details=_length,
    ),
    line(
        "unknown_section",
        "Unknown savevm section or instance '{section}' {instance:d}",
        "Unknown section or instance '{section}' {instance:d}",
        what="the stream has a section {section} (instance {instance}), and the destination has no device or state of "
        "that name: a device of the source is missing there, has a different address, or its section was renamed",
        remedy=_CONFIGURE,
        source=_LOADVM,
        details=_missing_device,
    ),
    line(
        "unsupported_version",
        "unsupported version {version:d} for '{section}' v{local:d}",
        what="the source sends version {version} of section {section}; the destination knows it up to version {local}",
        remedy=_VERSIONS,
        source=_LOADVM,
        details=_version,
    ),
    line(
        "version_too_new",
        "{description}: incoming version_id {version:d} is too new for local version_id {local:d}",
        what="the source sends version {version} of {description}; the destination knows it up to version {local}",
        remedy=_VERSIONS,
        source=_LOAD_STATE,
        details=_version,
    ),
    line(
        "version_too_old",
        "{description}: incoming version_id {version:d} is too old for local minimum version_id  {minimum:d}",
        "{description}: incoming version_id {version:d} is too old for local minimum version_id {minimum:d}",
        what="the source sends version {version} of {description}; the destination accepts {minimum} and newer: its "
        "authors dropped support for the old format",
        remedy="no option brings the old format back: load the state with a QEMU that still accepts version {version}, "
        "or start the machine anew on the newer one",
        source=_LOAD_STATE,
        details=_version,
    ),
    line(
        "load_failed",
        "error while loading state for instance 0x{instance:x} of device '{section}'",
        what="loading the section {section} failed",
        source="migration/savevm.c qemu_loadvm_section_start_full",
        wraps=True,
        details=_failed,
    ),
    line(
        "load_part_failed",
        "error while loading state section id {id:d}({section})",
        what="loading a later part of section {section} failed",
        source=_PART,
        wraps=True,
        details=_failed,
    ),
    line(
        "subsection_unknown",
        "VM subsection '{subsection}' in '{description}' does not exist",
        what="the source sends the subsection {subsection}, which the destination's {description} does not have",
        remedy="the source has a feature in use that the destination does not know: use a machine type that turns it "
        "off, or a newer destination",
        source=_SUBSECTION,
        details=_described,
    ),
    line(
        "subsection_failed",
        "Loading VM subsection '{subsection}' in '{description}' failed",
        what="loading the subsection {subsection} of {description} failed; the cause follows",
        source=_SUBSECTION,
        wraps=True,
    ),
    line(
        "unknown_section_id",
        "Unknown savevm section {id:d}",
        "Unknown section {id:d}",
        what="a later part of section {id} follows, but the stream never began that section: the stream is damaged, or "
        "the destination lost its position in it",
        remedy="look at the first error line; if this is the first, transfer or save the stream again",
        source=_PART,
    ),
    line(
        "unknown_section_type",
        "Unknown savevm section type {type:d}",
        "Unknown section type {type:d}",
        what="where a section, a command or the end of the stream must begin there is the byte {type}: the "
        "destination lost its position in the stream, because it read too few or too many bytes before, or the stream "
        "is damaged",
        remedy="look at the section before; without section footers (old machine types) a difference in a device shows "
        "only here. vmdump check finds the device",
        source="migration/savevm.c qemu_loadvm_state_main",
    ),
    line(
        "section_name_unreadable",
        "Unable to read ID string for section {id:d}",
        what="the stream ends within the name of section {id}, or its name is invalid: the stream is truncated or "
        "damaged",
        remedy="transfer or save the stream again; see whether the source failed first",
        source=_LOADVM,
    ),
    line(
        "section_id_unreadable",
        "Failed to read section ID: {error:d}",
        "Failed to load section ID: stream error: {error:d}",
        what="the stream ends where the id of a section must be: the connection was closed, or the file is truncated",
        remedy="look at the source's log: it usually failed first",
        source=_LOADVM,
    ),
    line(
        "section_error",
        "Section footer error, section_id: {id:d}",
        what="the footer of section {id} is wrong; the cause follows",
        source="migration/savevm.c qemu_loadvm_section_start_full",
        wraps=True,
    ),
    line(
        "load_of_migration_failed",
        "load of migration failed: {error:line}",
        what="the destination gave up, and exits",
        source="migration/migration.c process_incoming_migration_co",
        wraps=True,
        details=lambda arguments, context: _errno(arguments),
    ),
    line(
        "loadvm_failed",
        "loadvm failed: {error:line}",
        "Error {error:d} while loading VM state",
        "Error while loading vmstate",
        "Failed to load device state: {error:line}",
        what="loading the state failed; the cause is in another line",
        source="migration/savevm.c load_snapshot, qemu_loadvm_state",
        wraps=True,
    ),
    line(
        "unknown_command",
        "MIG_CMD 0x{command:x} unknown (len 0x{length:x})",
        what="the stream has the migration command 0x{command}, which the destination does not know",
        source="migration/savevm.c loadvm_process_command",
        remedy="the source uses a feature of newer QEMUs: turn the capability off on the source, or load with a newer "
        "QEMU",
        details=lambda arguments, context: _command(arguments),
    ),
    line(
        "command_deprecated",
        "MIG_CMD 0x{command:x} deprecated (len 0x{length:x})",
        what="the stream has the migration command 0x{command}, which the destination no longer supports",
        source="migration/savevm.c loadvm_process_command",
        details=lambda arguments, context: _command(arguments),
    ),
    line(
        "command_length",
        "{command} received with bad length - expecting {expected:d}, got {length:d}",
        what="the migration command {command} has {length} bytes of arguments instead of {expected}",
        remedy="the stream is damaged, or the two QEMUs have different versions of the command",
        source="migration/savevm.c loadvm_process_command",
    ),
)

#: Migration commands. Source: migration/savevm.c enum qemu_vm_cmd of QEMU 11.1.
_COMMANDS = {
    1: ("MIG_CMD_OPEN_RETURN_PATH", "return-path"),
    2: ("MIG_CMD_PING", "return-path"),
    3: ("MIG_CMD_POSTCOPY_ADVISE", "postcopy-ram"),
    4: ("MIG_CMD_POSTCOPY_LISTEN", "postcopy-ram"),
    5: ("MIG_CMD_POSTCOPY_RUN", "postcopy-ram"),
    6: ("MIG_CMD_POSTCOPY_RAM_DISCARD", "postcopy-ram"),
    7: ("MIG_CMD_PACKAGED", "postcopy-ram"),
    8: ("MIG_CMD_ENABLE_COLO", "x-colo"),
    9: ("MIG_CMD_POSTCOPY_RESUME", "postcopy-ram"),
    10: ("MIG_CMD_RECV_BITMAP", "postcopy-ram"),
    11: ("MIG_CMD_SWITCHOVER_START", ""),
}


#: What an error number stands for, by its text.
_ERRNO = {
    "Operation not permitted": "-1, which load functions return for any reason; nothing was forbidden",
    "Invalid argument": "data that does not fit the destination",
    "Input/output error": "a connection that was closed, or a file that ended",
    "No such file or directory": "a section that the destination does not have",
    "Cannot allocate memory": "no memory, or no huge pages, for the guest's RAM",
}


def _errno(arguments: Mapping[str, str]) -> Iterator[Row]:
    for error, meaning in _ERRNO.items():
        if arguments["error"].startswith(error):
            yield "error", f"{error} stands for {meaning}"


def _command(arguments: Mapping[str, str]) -> Iterator[Row]:
    name, capability = _COMMANDS.get(int(arguments["command"], 16), ("", ""))
    if name == "MIG_CMD_SWITCHOVER_START":
        yield (
            "command",
            (
                f"{name}: sent by QEMU 10.0 and newer, unless the property send-switchover-start of the migration "
                "object is off, as machine types of 9.2 and older set it. Other machine types can't go to an older "
                "QEMU: use -global migration.send-switchover-start=off on the source"
            ),
        )
    elif name:
        yield "command", f"{name}, used with the capability {capability}"
    else:
        yield "command", "not a command of QEMU up to 11.1: the stream is damaged, or from a newer QEMU"
