"""State of a VM that depends on the host: what the emulated host offers in place of the destination's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.migrate.arguments import TAPS, options, properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.emulator.machine import Machine

#: Start of the names of devices and networks whose state comes from another process, or from hardware.
_OUTSIDE = ("vhost-user", "vhost-vdpa", "vhost-scsi", "vhost-vsock", "vfio-", "passt", "stream", "dgram", "l2tpv3")

#: Options that add a network, and one that adds a device.
_NETWORKS, _DEVICE = ("netdev", "nic"), "device"


def host_notes(machine: Machine, argv: Sequence[str]) -> tuple[str, ...]:
    """Return what a load was decided by, of the emulated host.

    Args:
        machine: the booted destination.
        argv: the VM's arguments, as given.
    """
    return tuple(dict.fromkeys([*_of_accelerator(machine), *_of_backends(argv)]))


def _of_accelerator(machine: Machine) -> Iterator[str]:
    if machine.commands.find("query-kvm") is not None and machine.qmp("query-kvm")["enabled"]:
        yield (
            "KVM: CPU features, MSRs and kvmclock are those of a recorded x86-64 host (AMD); state of cpu, apic and "
            "kvmclock may be refused on another CPU or kernel"
        )


def _of_backends(argv: Sequence[str]) -> Iterator[str]:
    for option in options(argv):
        if option.value is None or option.name not in (*_NETWORKS, _DEVICE):
            continue
        given = properties(option.value)
        kind = given.get("", given.get("type", given.get("driver", "")))
        name = f"{option.name} {given.get('id') or kind}"
        if option.name in _NETWORKS and kind in TAPS:
            vhost = "vhost and " if given.get("vhost", "off") not in ("off", "false") else ""
            yield (
                f"{name}: a TAP with the offloads of Linux 6.2 and without vhost; features of virtio-net depend on "
                f"{vhost}the kernel of the destination"
            )
        elif kind.startswith(_OUTSIDE):
            yield f"{name}: it has no backend in the emulator; its state depends on the destination's backend"
