"""Results of checks that nobody made: as many dumps and types as asked for, with everything that reports have to show.

``python tests/check_sample.py FORMAT [DUMPS [TYPES]]`` prints one as a report.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from itertools import permutations

from vmdump.check.results import CheckResult, Dump, Finding, Row, Side, TypeResult, Verdict, WireItem
from vmdump.dump.producer import Producer, ProducerModule

VERSIONS = ("7.2.22", "8.2.10", "9.2.4", "10.0.13", "11.1.0")
FAMILIES = "e1000 virtio-net esp ide-hd rtl8139 vmxnet3 hda-codec sdhci-pci xhci nvme megasas pl011 imx.epit aspeed.rtc"
STEMS = "mac_reg phy_reg irq_level config timer_expire rx_head tx_tail status ctrl fifo dma_addr led_state baud mode"
INFOS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}

#: Names that would run, end an element or the script, steer a terminal, or read in another direction.
HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\">",
    "</script><script>document.title='pwned'</script>",
    "\"><svg onload=document.title='pwned'>",
    "{{style}}{{data}} ${x} %0A::error::x",
    "a\x1b[31m\nb::warning::c",
    "\u202egnp.exe\u2028next ]]> <!--",
)

RULES = {
    Verdict.BREAKS: "field-size-changed",
    Verdict.CONDITIONAL: "subsection-unknown",
    Verdict.ABSENT: "type-absent",
    Verdict.SAFE: "field-renamed",
}
MESSAGES = {
    Verdict.BREAKS: "4 bytes are sent where 8 are read: what follows is read 4 bytes late, and the load ends with "
    "“Missing section footer for {name}”",
    Verdict.CONDITIONAL: "the destination does not know this subsection: when it is sent, the load ends with "
    "“Failed to load {name}:{field}”",
    Verdict.ABSENT: "the destination has no such section: “Unknown savevm section or instance '{name}' 0”",
    Verdict.SAFE: "the same bytes under another name",
}


def make_result(dumps: int = 2, types: int = 40, hostile: Sequence[str] = (), seed: int = 4) -> CheckResult:
    """A check of so many dumps, pairwise, with so many types in each direction; the same for the same arguments.

    Labels are letters; of more than five dumps, file names.
    """
    labels = [chr(ord("A") + number) for number in range(dumps)]
    if dumps > len(VERSIONS):
        labels = [f"qemu-{number}.{VERSIONS[number % len(VERSIONS)]}-x86_64.json.xz" for number in range(dumps)]
    sides = [_dump(label, number) for number, label in enumerate(labels)]
    results = {}
    suppressed = []
    for source, destination in permutations(labels, 2):
        direction = f"{source} -> {destination}"
        rng = random.Random(f"{seed} {direction}")
        results[direction] = [_type(rng, name, direction) for name in _names(types, hostile)]
        accepted = Finding(
            "field-removed",
            Verdict.BREAKS,
            direction,
            results[direction][0].type,
            "accepted / section / field",
            "a field of 2 bytes is sent that nobody reads",
            Side("accepted / section / field", "2 bytes, uint16"),
        )
        suppressed.append((accepted, "only boards that we do not build have it"))
    stale = ("vmdump.toml:7: accepts nothing: rule 'field-removed', type 'gone*'",)
    return CheckResult(sides, results, suppressed, stale)


def _dump(label: str, number: int) -> Dump:
    version = VERSIONS[number % len(VERSIONS)]
    path = f"images/{version}/qemu-system-x86_64"
    modules = (ProducerModule("hw-usb-host", "ab" * 20),)
    return Dump(label, Producer("image", path, version, f"{number:040x}", "x86_64", modules), "pc-q35-7.2")


def _names(types: int, hostile: Sequence[str]) -> Iterator[str]:
    yield from hostile
    families = FAMILIES.split()
    for number in range(types - len(hostile)):
        family = families[number % len(families)]
        yield family if number < len(families) else f"{family}-{number // len(families):02d}"


def _type(rng: random.Random, name: str, direction: str) -> TypeResult:
    verdict = rng.choices(list(Verdict), (70, 5, 15, 10))[0]
    section = f"pci/{name}"
    layout = [Row(WireItem(name, 0), WireItem(name, 0), "same")]
    findings = []
    for number in range(rng.randrange(6, 30)):
        row = _row(rng, rng.choice(STEMS.split()) + f"_{number}" * (number > 0))
        layout.append(row)
    if verdict is Verdict.ABSENT:
        layout = [Row(row.source, None, "removed") for row in layout]
    else:
        layout += _changes(rng, name, verdict)
    field = f"{name}/extra" if verdict is Verdict.CONDITIONAL else "regs.timer"
    if verdict is not Verdict.SAFE or rng.random() < 0.2:
        path = f"{section} / {name} / {field}"
        findings.append(
            Finding(
                RULES[verdict],
                verdict,
                direction,
                name,
                path,
                MESSAGES[verdict].format(name=name, field=field),
                Side(path, "4 bytes, uint32, always"),
                None if verdict is Verdict.ABSENT else Side(path, "8 bytes, uint64, version 2 and newer"),
                "the guest has used the device since it was reset" if verdict is Verdict.CONDITIONAL else None,
                "a subsection with a compat property, off for machine types before 10.0",
            )
        )
    return TypeResult(name, verdict, section, findings, layout)


def _row(rng: random.Random, path: str) -> Row:
    size = rng.choice((1, 1, 2, 4, 4, 4, 8, 6, 64, 4096))
    item = WireItem(path, size, None, INFOS.get(size, "buffer"))
    if rng.random() < 0.05:
        item = WireItem(path, None, "queue_count elements of 12 bytes")
    return Row(item, item, "same")


def _changes(rng: random.Random, name: str, verdict: Verdict) -> Iterator[Row]:
    if rng.random() < 0.3:
        yield Row(WireItem("itr_intr_pending", 4, None, "uint32"), WireItem("unused", 4, None, "unused"), "renamed")
        yield Row(WireItem("fifo", 4, None, "buffer"), WireItem("fifo.head", 2, None, "uint16"), "regrouped")
        yield Row(None, WireItem("fifo.tail", 2, None, "uint16"), "regrouped")
    if verdict is Verdict.BREAKS:
        yield Row(WireItem("regs.timer", 4, None, "uint32"), WireItem("regs.timer", 8, None, "uint64"), "changed")
        yield Row(WireItem("regs.status", 1, None, "uint8"), None, "removed")
        yield Row(None, WireItem("regs.flags", 2, None, "uint16", "version 3 and newer"), "added")
        yield Row(WireItem("regs.last", 4, None, "uint32"), WireItem("regs.last", 4, None, "uint32"), "same")
    if verdict is Verdict.CONDITIONAL:
        yield Row(WireItem(f"{name}/extra", 0, None, None, "extra_needed()"), None, "removed")
        yield Row(WireItem("extra_count", 4, None, "uint32"), None, "removed")
    known = WireItem(f"{name}/wide", 0, None, None, "wide_needed()")
    yield Row(known, known, "same")
    same = WireItem("wide.high", 4, None, "uint32")
    yield Row(same, same, "same")


if __name__ == "__main__":
    from vmdump.report import write
    from vmdump.report.options import Options, RuleText

    numbers = [int(argument) for argument in sys.argv[2:4]]
    known = {"field-size-changed": RuleText("A field's size changed", "What follows it is read at the wrong place.")}
    write(make_result(*numbers), sys.argv[1], sys.stdout.buffer, Options(rules=known))
