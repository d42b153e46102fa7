"""Command lines without the host."""

import pytest

from vmdump.migrate.arguments import without_host


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("-M q35 -S -daemonize -qmp unix:/tmp/s -m 16", "-M q35 -m 16"),
        ("-display gtk -vnc :1 -spice port=1 -incoming tcp:0:1 -loadvm a", ""),
        ("-enable-kvm -cpu host", "-enable-kvm -cpu host"),
        ("-chardev socket,id=c,path=/tmp/s,server=on -mon chardev=c", "-chardev null,id=c"),
        ('-chardev {"backend":"pty","id":"c"}', "-chardev null,id=c"),
        ("-chardev ringbuf,id=r,size=64", "-chardev ringbuf,id=r,size=64"),
        ("-serial stdio -parallel none", "-serial null -parallel none"),
        ("-netdev tap,fd=3,id=n,vhost=on", "-netdev tap,ifname=tap0,script=no,downscript=no,id=n"),
        ("-netdev bridge,id=n,br=br0", "-netdev tap,ifname=tap0,script=no,downscript=no,id=n"),
        (
            """-netdev {"type":"tap","fds":"3:4:5","vhost":true,"id":"n"}""",
            "-netdev tap,ifname=tap0,script=no,downscript=no,queues=3,id=n",
        ),
        ("-netdev vhost-user,chardev=c,id=n", "-netdev hubport,id=n,hubid=0"),
        ("-netdev user,id=n,hostfwd=tcp::22-:22,net=10.0.0.0/8", "-netdev user,id=n,net=10.0.0.0/8"),
        ("-nic user,model=e1000,mac=52:54:00:12:34:56", "-nic user,model=e1000,mac=52:54:00:12:34:56"),
        (
            "-nic tap,model=e1000,mac=52:54:00:12:34:56",
            "-nic tap,ifname=tap0,script=no,downscript=no,model=e1000,mac=52:54:00:12:34:56",
        ),
        ("-net nic,model=rtl8139 -net user,smb=/a -net tap", "-net nic,model=rtl8139 -net user"),
        ("-nic none", "-nic none"),
        ("-audiodev pa,id=a", "-audiodev none,id=a"),
        (
            "-object memory-backend-file,id=m,size=16M,mem-path=/dev/shm,share=on",
            "-object memory-backend-ram,id=m,size=16M",
        ),
        (
            '-object {"qom-type":"memory-backend-memfd","id":"m","size":16,"share":true,'
            '"x-use-canonical-path-for-ramblock-id":false}',
            "-object memory-backend-ram,id=m,size=16,x-use-canonical-path-for-ramblock-id=off",
        ),
        ("-object secret,id=s,file=/a -object rng-random,id=r,filename=/dev/urandom", "-object rng-builtin,id=r"),
        ("--machine q35 --cpu max", "-machine q35 -cpu max"),
    ],
)
def test_host_options(given: str, expected: str) -> None:
    """Options for the host are dropped; backends keep their ids."""
    assert without_host(given.split()) == expected.split()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["-blockdev", '{"driver":"file","filename":"/a,b","node-name":"n","read-only":true}'],
            ["-blockdev", "null-co,node-name=n,size=4096,read-zeroes=on,read-only=on"],
        ),
        (
            ["-drive", "file=/a,,b.img,if=none,id=n,format=raw"],
            ["-drive", "driver=null-co,size=4096,read-zeroes=on,if=none,id=n"],
        ),
        (
            ["disk.img", "-cdrom", "a.iso"],
            [
                "-drive", "driver=null-co,size=1073741824,read-zeroes=on,index=0,media=disk",
                "-drive", "driver=null-co,size=1073741824,read-zeroes=on,index=2,media=cdrom",
            ],
        ),
    ],
)  # fmt: skip
def test_disks(given: list[str], expected: list[str]) -> None:
    """Disks are empty; their names, and what devices see of them, stay."""
    assert without_host(given, {"n": 4096}) == expected
