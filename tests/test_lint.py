"""The linter on real binaries and on descriptions that are made up; its rules are in test_rules.py."""

import pytest
from conftest import DATA
from descriptions import array, desc, dump, field, lint_rules, plain, struct, unused

import vmdump
from vmdump.check.checker import Labelled
from vmdump.check.lint import is_defect, lint
from vmdump.vmstate.model import VMStateDescription


def real(version: str, target: str) -> set[tuple[str, str, str]]:
    """Rule, type and path of the defects of a real binary."""
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
    """Others have none, though notices."""
    assert real(version, target) == set()


def test_clean() -> None:
    """Nothing at all."""
    part = desc("part", field("a", version_id=1))
    subsection = desc("dev/x", array("c", 2), needed=True)
    vmsd = desc("dev", struct("s", part), unused(4), field("b", version_id=2), version_id=2, subsections=[subsection])
    assert lint_rules(dump(vmsd)) == []


def test_deep() -> None:
    """Defects are found in what is nested, in subsections and in what is on no device class; shared ones once."""
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
    """A dump file does not tell infos and hooks: nothing is said of them."""
    vmsd: VMStateDescription = desc("dev", field("a", "uint32 equal"), unused(0), subsections=[desc("dev/x")])
    assert lint_rules(plain(dump(vmsd))) == []
    assert lint_rules(dump(vmsd)) == ["compared-with-configuration", "size-zero", "subsection-without-needed"]


def test_finding() -> None:
    """The label stands for the direction; defects break, notices are safe."""
    (found,) = lint(Labelled("A", dump(desc("dev", field("a", version_id=2)))))
    assert (found.direction, found.type, found.verdict) == ("A", "dev", "breaks")
    assert found.message == "a never travels: its version_id 2 is above version 1 of dev"
