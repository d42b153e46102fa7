"""The linter on real binaries and on synthetic descriptions; its rules are tested in test_rules.py."""

import pytest
from support.descriptions import array, desc, dump, field, lint_rules, plain, struct, unused
from support.paths import DATA

import vmdump
from vmdump.check.checker import Labelled
from vmdump.check.lint import is_defect, lint
from vmdump.vmstate.model import VMStateDescription


def real(version: str, target: str) -> set[tuple[str, str, str]]:
    """Return rule, type and path of the defects of a real binary."""
    found = lint(Labelled("A", vmdump.open(DATA / "extended" / f"qemu-{version}-{target}.json.xz")))
    return {(each.rule, each.type, each.path) for each in found if is_defect(each)}


def test_real_defects() -> None:
    """QEMU 7.2 never migrates the timers of imx2.wdt and xlnx.csu_dma: hw/watchdog/wdt_imx2.c has version_id 0 and
    VMSTATE_PTIMER, whose fields have version_id 1; hw/dma/xlnx_csu_dma.c likewise.
    """
    assert real("7.2.22", "aarch64") == {
        ("field-above-version", "imx2.wdt", "imx2.wdt / imx2.wdt / timer"),
        ("field-above-version", "imx2.wdt", "imx2.wdt / imx2.wdt / itimer"),
        ("field-above-version", "xlnx.csu_dma", "xlnx.csu_dma / xlnx.csu_dma / src_timer"),
    }


@pytest.mark.parametrize("version", ["7.2.22", "10.0.13"])
@pytest.mark.parametrize("target", ["x86_64", "m68k"])
def test_no_real_defects(target: str, version: str) -> None:
    """Other binaries have notices but no defects."""
    assert real(version, target) == set()


def test_clean() -> None:
    """A sound description has neither defects nor notices."""
    part = desc("part", field("a", version_id=1))
    subsection = desc("dev/x", array("c", 2), needed=True)
    vmsd = desc("dev", struct("s", part), unused(4), field("b", version_id=2), version_id=2, subsections=[subsection])
    assert lint_rules(dump(vmsd)) == []


def test_deep() -> None:
    """Defects are found in nested descriptions, subsections and standalone descriptions; in shared ones once."""
    bad = desc("bad", field("a", version_id=2))
    assert lint_rules(dump(desc("dev", struct("s", bad), struct("t", bad)))) == ["field-above-version"]
    assert lint_rules(dump(desc("dev", subsections=[desc("dev/bad", struct("s", bad), needed=True)]))) == [
        "field-above-version"
    ]
    assert lint_rules(dump(desc("dev"), roots=((bad, "register"),))) == ["field-above-version"]
    assert lint_rules(dump(one=desc("one", struct("s", bad)), two=desc("two", struct("s", bad)))) == [
        "field-above-version"
    ]


def test_dump_file() -> None:
    """For a dump file, which lacks infos and hooks, the linter reports nothing about these."""
    vmsd: VMStateDescription = desc("dev", field("a", "uint32 equal"), unused(0), subsections=[desc("dev/x")])
    assert lint_rules(plain(dump(vmsd))) == []
    assert lint_rules(dump(vmsd)) == ["compared-with-configuration", "size-zero", "subsection-without-needed"]


def test_finding() -> None:
    """The direction of a finding is the dump's label; defects have verdict breaks, notices safe."""
    (found,) = lint(Labelled("A", dump(desc("dev", field("a", version_id=2)))))
    assert (found.direction, found.type, found.verdict) == ("A", "dev", "breaks")
    assert found.message == "a is never sent: its version_id 2 is above version 1 of dev"
