"""Fields of a section: values that are compared, lengths, and fields that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_LOAD_STATE = "migration/vmstate.c vmstate_load_state"

#: What an encoding compares, by its name in the stream's description. Source: migration/vmstate-types.c.
_COMPARING = {
    "int32 le": "a length: it must be positive and at most the destination's own value",
    "int32 equal": "it must equal the destination's own value, which its configuration sets",
    "uint8 equal": "it must equal the destination's own value, which its configuration sets",
    "uint16 equal": "it must equal the destination's own value, which its configuration sets",
    "uint32 equal": "it must equal the destination's own value, which its configuration sets",
    "int64 equal": "it must equal the destination's own value, which its configuration sets",
    "pci config": "PCI configuration space: bits that the guest can't write must be equal",
    "virtio": "the state of the virtio transport, the features that were negotiated, and the queues",
    "nullptr": "a marker that an element of an array is NULL in both",
}

#: Fields whose failure has a usual cause, by description and field.
_USUAL = {
    "cpu:cpreg_vmstate_array_len": "Arm's list of system registers: the destination has fewer registers than the "
    "source sends. They come from the CPU model and its features, with KVM from the host's kernel",
    "PCIDevice:config": "PCI configuration space differs in a bit that the guest can't change; the line "
    '"Bad config data" before says which byte',
    "virtio:virtio": "a virtio device: features, the number of queues or their indices; the line before says which",
    "virtio-net:virtio": "a virtio-net device: features, the number of queues or their indices; the line before says "
    "which",
}


def _field(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    name = f"{arguments['description']}:{arguments['field']}"
    if usual := _USUAL.get(name):
        yield "field", usual
    yield from context.field(arguments["description"], arguments["field"], _COMPARING)
    if context.section and not arguments["description"].startswith("cpu"):
        yield "section", context.section


def _element(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    if compared := _COMPARING.get(arguments["info"]):
        yield "encoding", f"{arguments['info']}: {compared}"
    if context.section:
        yield "section", context.section


def _length(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    sent, most = int(arguments["sent"]), int(arguments["local"])
    if sent > most:
        yield "difference", f"the source has {sent - most} more than the destination can hold"
    if context.field_failed == ("cpu", "cpreg_vmstate_array_len"):
        yield (
            "registers",
            (
                f"the source sends {sent} system registers of the CPU, the destination has {most}: a different -cpu "
                f"model, different CPU features, a different version of TCG, or, with KVM, a different host kernel"
            ),
        )
        yield (
            "remedy",
            (
                "with TCG: use one -cpu model and the QEMU version that saved the state. With KVM: run the same kernel "
                "on both hosts, and name a CPU model or features instead of -cpu host or max where possible"
            ),
        )


LINES = (
    line(
        "field_failed",
        "Failed to load {description}:{field}",
        what="the field {field} of {description} was refused by its load function; the reason is in the line before",
        source=_LOAD_STATE,
        wraps=True,
        details=_field,
    ),
    line(
        "element_failed",
        "Failed to load element of type {info} for {field}",
        what="the field {field}, encoded as {info}, was refused by its load function",
        source=_LOAD_STATE,
        wraps=True,
        details=_element,
    ),
    line(
        "state_failed",
        "Failed to load {description} state: stream error: {error:d}",
        what="the stream ended, or an error of the connection occurred, while the state of {description} was loaded",
        remedy="look at the source's log: it usually failed first",
        source=_LOAD_STATE,
    ),
    line(
        "validation_failed",
        "Input validation failed: {description}/{field}",
        what="a check of the values loaded so far failed: {field} of {description}. Both sides are configured "
        "differently, or the source sent an invalid state",
        remedy="compare the properties of the device on both sides",
        source=_LOAD_STATE,
    ),
    line(
        "output_validation_failed",
        "Output state validation failed: {description}/{field}",
        what="a check of the values to be saved failed: {field} of {description}. QEMU then aborts: a bug in QEMU",
        remedy="report it to QEMU, with the device's configuration",
        source="migration/vmstate.c vmstate_save_state_v",
    ),
    line(
        "save_failed",
        "Save of field {description}/{field} failed",
        what="the source could not save the field {field} of {description}",
        source="migration/vmstate.c vmstate_save_state_v",
        wraps=True,
    ),
    line(
        "pre_save_failed",
        "pre-save failed: {description}",
        "post-save failed: {description}",
        what="the hook that {description} calls around saving reported an error: the device can't be saved now",
        source="migration/vmstate.c vmstate_save_state_v",
        wraps=True,
    ),
    line(
        "length",
        "Invalid value {sent:d} expecting positive value <= {local:d}",
        what="the source sends {sent} elements of an array; the destination has room for {local}",
        remedy="the next line names the field. The two sides are configured differently: compare the properties of "
        "the device, or the CPU model",
        source="migration/vmstate-types.c get_int32_le",
        details=_length,
    ),
    line(
        "not_equal",
        "{local:x} != {sent:x}",
        what="a value that must be equal on both sides is {local} in the destination and {sent} in the stream (both "
        "hexadecimal)",
        remedy="the value comes from the device's configuration; the next line names the field",
        source="migration/vmstate-types.c get_uint32_equal and the like",
    ),
    line(
        "null_marker",
        "vmstate: get_nullptr expected VMS_NULLPTR_MARKER",
        what="an element of an array of pointers is NULL in the destination, and the source sends a value",
        remedy="the two sides have different numbers of elements: compare the device's configuration, such as queues "
        "or "
        "CPUs that are present",
        source="migration/vmstate-types.c get_nullptr",
    ),
    line(
        "tree_inconsistent",
        "{description} inconsistent stream when loading the gtree",
        what="the stream has a different number of tree elements than {description} announced",
        remedy="the stream is damaged, or the destination lost its position in it earlier",
        source="migration/vmstate-types.c get_gtree",
    ),
    line(
        "colo_state",
        "Got {length:d} VMState data, less than expected {expected:d}",
        what="COLO: the primary sent {length} bytes of device state instead of the {expected} that it announced",
        remedy="the connection broke, or the two QEMUs have different versions",
        source="migration/colo.c colo_incoming_process_checkpoint",
    ),
    line(
        "serial_inconsistent",
        "inconsistent state in serial device (tsr empty, tsr_retry={retry:d}",
        what="the serial port's transmitter is empty, yet it has {retry} retries pending: an impossible state",
        remedy="a defect of the QEMU that saved the state; use a newer one",
        source="hw/char/serial.c serial_post_load",
    ),
    line(
        "nvme_inconsistent",
        "inconsistent migration stream ({test})",
        what="an NVMe controller's queues in the stream contradict each other: {test}",
        source="hw/nvme/ctrl.c",
    ),
)
