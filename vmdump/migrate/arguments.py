"""A VM's command line without the host: monitors, displays, sockets, network interfaces and disk images.

The emulated host has none of them. Options that only serve the host are dropped, and backends are replaced by ones with
the same id that need no host; the machine and its devices are unchanged.

Source: QEMU 7.2 and 10.0 qemu-options.hx.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: Arguments before the user's: no window, no user configuration, CPUs stopped.
DEFAULTS = ("-display", "none", "-no-user-config", "-S")

#: Size of disks, in bytes: the guest's state does not contain it.
DISK_SIZE = 1 << 30

#: Options with a value that only serve the host, or that choose what is loaded.
_DROPPED = frozenset([
    "add-fd", "chroot", "D", "d", "dfilter", "display", "gdb", "incoming", "loadvm", "mon", "monitor", "msg",
    "pidfile", "plugin", "qmp", "qmp-pretty", "qtest", "qtest-log", "run-with", "runas", "sandbox", "spice", "trace",
    "vnc",
])  # fmt: skip

#: Options without a value that only serve the host.
_DROPPED_FLAGS = frozenset(["daemonize", "no-user-config", "nographic", "s", "S", "singlestep"])

#: Options whose value is a character device of the board.
_CHARACTER_DEVICES = frozenset(["serial", "parallel", "debugcon"])

#: Options without a value. Source: qemu-options.hx, entries without HAS_ARG.
_FLAGS = _DROPPED_FLAGS | frozenset([
    "alt-grab", "ctrl-grab", "curses", "enable-kvm", "full-screen", "mem-prealloc", "no-acpi", "no-fd-bootchk",
    "no-hpet", "no-quit", "no-reboot", "no-shutdown", "nodefaults", "old-param", "only-migratable", "portrait",
    "preconfig", "sdl", "semihosting", "snapshot", "usb", "win2k-hack", "xen-attach",
])  # fmt: skip

#: Types of -object that read files, sockets or keys of the host, and serve only such options.
_HOST_OBJECTS = ("authz-", "can-host", "colo-", "filter-", "pr-manager", "secret", "throttle-", "tls-")


#: Properties of memory backends that the VM's RAM blocks depend on; others are of the host's memory.
_BACKEND_PROPERTIES = frozenset(["id", "size", "x-use-canonical-path-for-ramblock-id"])


class Option(NamedTuple):
    """An option without its dashes, and its value; None: it takes none."""

    name: str
    value: str | None


def options(argv: Sequence[str]) -> Iterator[Option]:
    """Yield the options of a command line. A word without a dash is a disk image, option ``hda``."""
    words = iter(argv)
    for word in words:
        if not word.startswith("-") or word == "-":
            yield Option("hda", word)
            continue
        name = word.lstrip("-")
        yield Option(name, None if name in _FLAGS else next(words, None))


def properties(value: str) -> dict[str, str]:
    """Return the properties of an option's value, in JSON or ``key=value,...``; the first may have a value only.

    >>> properties("file,id=c,path=a,,b")
    {'': 'file', 'id': 'c', 'path': 'a,b'}
    """
    if value.startswith("{"):
        try:
            parsed = json.loads(value)
        except ValueError:
            return {}
        return {key: _as_option(each) for key, each in parsed.items()} if isinstance(parsed, dict) else {}
    found: dict[str, str] = {}
    for number, part in enumerate(value.replace(",,", "\0").split(",")):
        key, equals, text = part.replace("\0", ",").partition("=")
        if equals or number:
            found[key] = text if equals else "on"
        else:
            found[""] = key
    return found


def _as_option(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def without_host(argv: Sequence[str], disk_sizes: dict[str, int] | None = None) -> list[str]:
    """Return a command line for an emulated host.

    Args:
        argv: QEMU's arguments, without its name.
        disk_sizes: sizes of block devices in bytes, by node name or drive id; default: DISK_SIZE.
    """
    sizes = disk_sizes or {}
    changed: list[str] = []
    for option in options(argv):
        if option.name in _DROPPED or option.name in _DROPPED_FLAGS:
            continue
        for each in _replaced(option, sizes):
            changed += [f"-{each.name}"] if each.value is None else [f"-{each.name}", each.value]
    return changed


def _replaced(option: Option, sizes: dict[str, int]) -> Iterable[Option]:
    if option.value is None:
        return [option]
    if option.name in _CHARACTER_DEVICES:
        return [option if option.value == "none" else Option(option.name, "null")]
    replace: Callable[[Option, dict[str, str], dict[str, int]], Iterable[Option]] | None = _REPLACEMENTS.get(
        option.name
    )
    return [option] if replace is None else replace(option, properties(option.value), sizes)


def _chardev(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    del sizes
    backend = given.get("", given.get("backend", ""))
    if backend in ("null", "ringbuf", "memory"):
        return [option]
    return [Option("chardev", f"null,id={given.get('id', '')}")]


#: Properties of user networking that make files or sockets of the host accessible.
_HOST_ACCESS = frozenset(["bootfile", "guestfwd", "hostfwd", "smb", "smbserver", "tftp", "tftp-server-name"])


#: Networks that need a TAP of the host.
TAPS = frozenset(["tap", "bridge"])


def _tap(given: dict[str, str]) -> str:
    """Return a TAP of the emulated host with as many queues as the given one, without vhost."""
    files = len(given.get("fds", "").split(":"))
    queues = given.get("queues", str(files) if files > 1 else "")
    return f"tap,ifname=tap0,script=no,downscript=no{queues and f',queues={queues}'}"


def _netdev(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    """User networking has a section of its own and stays; virtio-net's features depend on a TAP, which stays, too.
    Other kinds become a hub without peers.
    """
    del option, sizes
    kind = given.get("", given.get("type"))
    if kind in TAPS:
        return [Option("netdev", f"{_tap(given)},id={given.get('id', '')}")]
    if kind == "user":
        kept = [f"{key}={text}" for key, text in given.items() if key and key not in {"type", *_HOST_ACCESS}]
        return [Option("netdev", ",".join(["user", *kept]))]
    return [Option("netdev", f"hubport,id={given.get('id', '')},hubid=0")]


def _net(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    del sizes
    kind = given.get("", given.get("type"))
    return [option] if kind in ("nic", "none") else [Option("net", "user")] if kind == "user" else []


def _nic(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    """-nic is a network interface of the board and a backend; -net nic is the interface alone."""
    del sizes
    if given.get("") == "none":
        return [option]
    kept = [f"{key}={given[key]}" for key in ("model", "macaddr", "addr", "vectors") if key in given]
    kept += [f"macaddr={given['mac']}"] if "mac" in given else []
    if given.get("", given.get("type")) == "user":
        return [Option("nic", ",".join(["user", *kept]).replace("macaddr=", "mac="))]
    if given.get("", given.get("type")) in TAPS:
        return [Option("nic", ",".join([_tap(given), *kept]).replace("macaddr=", "mac="))]
    return [Option("net", ",".join(["nic", *kept]))]


def _audiodev(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    del option, sizes
    return [Option("audiodev", f"none,id={given.get('id', '')}")]


def _blockdev(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    if given.get("driver", given.get("")) in ("null-co", "null-aio"):
        return [option]
    node = given.get("node-name")
    if node is None:  # only part of another option
        return []
    size = sizes.get(node, DISK_SIZE)
    is_read_only = given.get("read-only", "off").lower() in ("on", "true")
    text = f"null-co,node-name={node},size={size},read-zeroes=on{',read-only=on' if is_read_only else ''}"
    return [Option("blockdev", text)]


def _drive(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    if "file" not in given and "driver" not in given:
        return [option]
    kept = {
        key: text
        for key, text in given.items()
        if key in ("if", "index", "bus", "unit", "media", "id", "readonly", "read-only", "snapshot", "copy-on-read")
    }
    size = sizes.get(given.get("id") or f"{given.get('if', '')}{given.get('unit', '')}", DISK_SIZE)
    text = ",".join(f"{key}={each}" for key, each in kept.items())
    return [Option("drive", f"driver=null-co,size={size},read-zeroes=on{',' if text else ''}{text}")]


def _disk(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    """-hda FILE and so on: a drive of the board at an index."""
    del given, sizes
    index = {"hda": 0, "hdb": 1, "hdc": 2, "hdd": 3, "cdrom": 2}[option.name]
    media = "cdrom" if option.name == "cdrom" else "disk"
    return [Option("drive", f"driver=null-co,size={DISK_SIZE},read-zeroes=on,index={index},media={media}")]


def _object(option: Option, given: dict[str, str], sizes: dict[str, int]) -> Iterable[Option]:
    del sizes
    kind = given.get("", given.get("qom-type", ""))
    if kind.startswith("memory-backend-"):
        kept = [f"{key}={text}" for key, text in given.items() if key in _BACKEND_PROPERTIES]
        return [Option("object", ",".join(["memory-backend-ram", *kept]))]
    if kind in ("rng-random", "rng-egd"):
        return [Option("object", f"rng-builtin,id={given.get('id', '')}")]
    if kind.startswith(_HOST_OBJECTS):
        return []
    return [option]


_REPLACEMENTS = {
    "chardev": _chardev, "netdev": _netdev, "net": _net, "nic": _nic, "audiodev": _audiodev, "blockdev": _blockdev,
    "drive": _drive, "object": _object, "hda": _disk, "hdb": _disk, "hdc": _disk, "hdd": _disk, "cdrom": _disk,
}  # fmt: skip
