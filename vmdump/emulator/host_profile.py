"""What the host of an emulated QEMU offers. QEMU registers some types only where the host can do what they need, and
which types there are decides about the order of a dump.
"""

from __future__ import annotations

from typing import NamedTuple

from vmdump.errors import SourceError

_SWITCHES = {"on": True, "off": False}
_PAGE_SIZES = (4096, 16384, 65536)


class HostProfile(NamedTuple):
    """A host. The default is what a run of Debian's QEMU in a container finds.

    >>> HostProfile.parse("memfd=off,page_size=65536")
    HostProfile(memfd=False, sgx_vepc=False, page_size=65536)
    """

    #: memfd_create works: memory-backend-memfd is registered. Source: QEMU 7.2 backends/hostmem-memfd.c.
    memfd: bool = True
    #: /dev/sgx_vepc can be opened: memory-backend-epc is registered. Source: QEMU 7.2 backends/hostmem-epc.c.
    sgx_vepc: bool = False
    #: Bytes of a page: 4096, 16384 or 65536.
    page_size: int = 4096

    @classmethod
    def parse(cls, text: str) -> HostProfile:
        """A profile from ``memfd=off,sgx_vepc=on``; what is not named is as in the default. Raises SourceError."""
        values: dict[str, bool | int] = {}
        for item in filter(None, text.split(",")):
            name, _, value = item.partition("=")
            if name == "page_size" and value in map(str, _PAGE_SIZES):
                values[name] = int(value)
            elif name in ("memfd", "sgx_vepc") and value in _SWITCHES:
                values[name] = _SWITCHES[value]
            else:
                raise SourceError(
                    f"{item!r} says nothing of a host; it may be memfd=on, memfd=off, sgx_vepc=on, sgx_vepc=off, or "
                    f"page_size= and one of {', '.join(map(str, _PAGE_SIZES))}"
                )
        return cls(**values)  # type: ignore[arg-type]
