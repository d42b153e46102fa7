"""Host features that the emulator reports to QEMU.

QEMU registers some types only if the host supports them, and the set of types determines the order of a dump.
"""

from __future__ import annotations

from typing import NamedTuple

from vmdump.errors import SourceError

_SWITCHES = {"on": True, "off": False}
_FEATURES = ("memfd", "sgx_vepc", "thp", "kvm")
_HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage/"
_PAGE_SIZES = (4096, 16384, 65536)


class HostProfile(NamedTuple):
    """Features of a host. The defaults are those of a container.

    >>> HostProfile.parse("memfd=off,page_size=65536")
    HostProfile(memfd=False, sgx_vepc=False, page_size=65536, thp=True, kvm=True)
    """

    #: memfd_create works: memory-backend-memfd is registered. Source: QEMU 7.2 backends/hostmem-memfd.c.
    memfd: bool = True
    #: /dev/sgx_vepc can be opened: memory-backend-epc is registered. Source: QEMU 7.2 backends/hostmem-epc.c.
    sgx_vepc: bool = False
    #: Page size in bytes: 4096, 16384 or 65536.
    page_size: int = 4096
    #: The kernel has transparent huge pages, whose size is virtio-mem's default block-size. Source: QEMU 10.0
    #: hw/virtio/virtio-mem.c.
    thp: bool = True
    #: /dev/kvm can be opened: -accel kvm works in machines, if there is a profile for the host (kvm_profile).
    kvm: bool = True

    def files(self) -> dict[str, bytes]:
        """Return the files of the kernel that QEMU may read, and their folders, by path.

        >>> HostProfile().files()["/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"].decode().strip()
        '2097152'
        """
        if not self.thp:
            return {}
        size = self.page_size * (self.page_size // 8)  # a table of pages fills a page
        return {_HUGE_PAGES: b"\0", f"{_HUGE_PAGES}hpage_pmd_size": b"%d\n" % size}

    @classmethod
    def parse(cls, text: str) -> HostProfile:
        """Parse ``memfd=off,sgx_vepc=on``. Features not named keep their defaults. Raises SourceError."""
        values: dict[str, bool | int] = {}
        for item in filter(None, text.split(",")):
            name, _, value = item.partition("=")
            if name == "page_size" and value in map(str, _PAGE_SIZES):
                values[name] = int(value)
            elif name in _FEATURES and value in _SWITCHES:
                values[name] = _SWITCHES[value]
            else:
                raise SourceError(
                    f"{item!r} is not a host feature; use {', '.join(_FEATURES)} with =on or =off, or page_size= and "
                    f"one of {', '.join(map(str, _PAGE_SIZES))}"
                )
        return cls(**values)  # type: ignore[arg-type]
