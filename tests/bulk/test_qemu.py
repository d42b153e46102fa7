"""vmdump bulk with real QEMUs: downloaded Debian packages, installed binaries, and a Dask cluster."""

import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bulk import VMDUMP, bulk, children, entries, tree
from support.dumps import read_real_dump
from support.paths import DATA
from support.qemu import find_module, find_qemu

import vmdump
from vmdump.bulk.query.database import query

#: Debian's packages of 7.2.22 and 10.0.13: .ci/images makes $VMDUMP_IMAGES/debs/VERSION/*.deb.
DEBS = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent")) / "debs"

#: Start a cluster of two workers, print the scheduler's address, and end at EOF on standard input.
CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, protocol="tcp", dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def find_debs(version: str) -> list[str]:
    """Return the packages of a version. If $VMDUMP_IMAGES is set, they must exist."""
    found = sorted(map(str, DEBS.glob(f"{version}/*.deb")))
    if not found:
        if "VMDUMP_IMAGES" in os.environ:
            pytest.fail(f"{DEBS}/{version} has no packages; .ci/images downloads them")
        pytest.skip("no Debian packages here: .ci/images downloads them, $VMDUMP_IMAGES says where")
    return found


def expected_dumps(version: str) -> dict[str, bytes]:
    """Return the recorded dump of each target."""
    paths = (DATA / "dumps" / f"qemu-{version}").glob("*.json.xz")
    return {path.name.partition(".")[0]: lzma.decompress(path.read_bytes()) for path in paths}


def written_dumps(out: Path) -> dict[str, bytes]:
    """Return the dumps in an output directory by target, including aliases of a binary."""
    return {
        target: (out / entry["outputs"][0]).read_bytes()
        for entry in entries(out)
        if entry["error"] is None
        for target in entry["targets"]
    }


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with all targets of Debian's 7.2, read from packages by two processes."""
    out = tmp_path_factory.mktemp("seven") / "out"
    debs = find_debs("7.2.22")
    assert bulk(*debs, "-o", out, "--machines", "none", "--jobs", 2, executor="processes") == 0
    return out


@pytest.mark.qemu
@pytest.mark.slow
def test_all_targets_from_packages(seven: Path) -> None:
    """Every target of Debian's 7.2, with modules, read from packages equals QEMU's own dump."""
    assert written_dumps(seven) == expected_dumps("7.2.22")
    assert {entry["producer"]["version"] for entry in entries(seven)} == {
        "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"
    }
    assert not [name for name in os.listdir(seven) if name.startswith(".")]


@pytest.mark.qemu
@pytest.mark.slow
def test_nothing_changed(seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run reads nothing, even after the packages have moved."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for deb in find_debs("7.2.22"):
        (moved / os.path.basename(deb)).symlink_to(deb)
    out = tmp_path / "out"
    shutil.copytree(seven, out)  # the manifest records where the packages are now
    capsys.readouterr()
    assert bulk(moved, "-o", out, "--machines", "none") == 0
    assert capsys.readouterr().out == f"{out}: 0 read, 32 unchanged\n"


@pytest.mark.qemu
@pytest.mark.slow
def test_corrupt_package(tmp_path: Path, seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A corrupt package is an error with exit code 3; the build's other packages are read."""
    debs = []
    for deb in find_debs("7.2.22"):
        if "-sparc_" in deb or "-common_" in deb or "-ppc_" in deb:
            debs.append(tmp_path / os.path.basename(deb))
            shutil.copy(deb, debs[-1])
    broken = next(deb for deb in debs if "-sparc_" in deb.name)
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content)
    out = tmp_path / "out"
    assert bulk(*debs, "-o", out, "--machines", "none", executor="processes") == 3
    captured = capsys.readouterr()
    (error,) = [line for line in captured.err.splitlines() if not line.startswith("vmdump: [") and "broken" not in line
                and line.startswith(f"vmdump: {broken}: ")]  # fmt: skip
    assert error.endswith("may be truncated or corrupt")
    assert written_dumps(out) == {
        target: dump for target, dump in written_dumps(seven).items() if target.startswith("ppc")
    }
    # With the intact package the output is complete and the error is gone.
    shutil.copy(next(deb for deb in find_debs("7.2.22") if "-sparc_" in deb), broken)
    assert bulk(*debs, "-o", out, "--machines", "none", executor="processes") == 0
    assert set(written_dumps(out)) == {"ppc", "ppc64", "ppc64le", "sparc", "sparc64"}


@pytest.mark.qemu
@pytest.mark.slow
def test_killed_while_unpacking(tmp_path: Path, seven: Path) -> None:
    """After SIGKILL during unpacking, the next run removes the leftovers and completes."""
    debs = [deb for deb in find_debs("7.2.22") if "-x86_" in deb or "-common_" in deb or "-mips_" in deb]
    out = tmp_path / "out"
    command = [*VMDUMP, "bulk", *debs, "-o", str(out), "--machines", "none", "--jobs", "2"]
    for goal in (".vmdump-unpack-*/*/usr/*/*", "*/*/none.json"):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            while not list(out.glob(goal)):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert list(out.glob(".vmdump-unpack-*"))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert not list(out.glob(".*"))
    whole = written_dumps(seven)
    assert written_dumps(out) == {target: whole[target] for target in written_dumps(out)}
    assert set(written_dumps(out)) == {
        "x86_64", "x86_64-microvm", "i386", "mips", "mipsel", "mips64", "mips64el",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.qemu
def test_all_machines(tmp_path: Path) -> None:
    """--machines with all, a GLOB, or the default writes for each machine type what vmdump dump -M prints."""
    qemu = find_qemu("x86_64")
    out = tmp_path / "out"
    assert bulk(qemu, "-o", out, "--machines", "all") == 0
    (entry,) = entries(out)
    assert len(entry["machines"]) == len(entry["outputs"]) > 50
    assert {"q35", "pc"}.isdisjoint(entry["machines"])  # aliases
    for machine, output in list(zip(entry["machines"], entry["outputs"], strict=True))[::10]:
        assert (out / output).read_bytes() == vmdump.open(qemu, machine=machine).to_bytes()
    assert bulk(qemu, "-o", out, "--machines", "pc-q35-7.?") == 0
    assert sorted(entries(out)[0]["machines"]) == ["pc-q35-7.0", "pc-q35-7.1", "pc-q35-7.2"]
    assert sorted(path.name for path in out.rglob("pc*.json")) == [f"pc-q35-7.{minor}.json" for minor in range(3)]
    assert bulk(qemu, "-o", out) == 0
    assert entries(out)[0]["machines"] == [vmdump.open(qemu).machine]
    assert bulk(qemu, "-o", out, "--machines", "bbc-*") == 3
    assert entries(out)[0]["error"].startswith(f"{qemu}: no machine type matches 'bbc-*'")


@pytest.mark.qemu
def test_binaries_of_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Binaries are found by content, with modules; a changed module causes a re-read, a new time stamp does not."""
    module = find_module("hw-usb-redirect")
    qemu = find_qemu("x86_64")
    system = tmp_path / "system"
    (system / "usr" / "bin").mkdir(parents=True)
    shutil.copy(qemu, system / "usr" / "bin" / "my-emulator")
    (system / "usr" / "bin" / "qemu-system-x86_64").symlink_to("my-emulator")
    shutil.copy("/bin/true", system / "usr" / "bin")
    place = system / str(module.parent)[1:]
    place.mkdir(parents=True)
    shutil.copy(module, place)
    out = tmp_path / "out"

    def run() -> str:
        capsys.readouterr()
        assert bulk(system, "-o", out) == 0
        return capsys.readouterr().out.rpartition(": ")[2]

    assert run() == "1 read, 0 unchanged\n"
    (entry,) = entries(out)
    assert entry["targets"] == ["x86_64"]
    dump = vmdump.open(out / entry["outputs"][0])
    assert "usb-redir" in dump
    os.utime(system / "usr" / "bin" / "my-emulator")
    assert run() == "0 read, 1 unchanged\n"
    (place / module.name).unlink()
    assert run() == "1 read, 0 unchanged\n"
    assert "usb-redir" not in vmdump.open(out / entries(out)[0]["outputs"][0])
    shutil.copy(module, place)
    assert run() == "1 read, 0 unchanged\n"


@pytest.mark.qemu
def test_target_by_content(tmp_path: Path) -> None:
    """If the file name does not give the target, the CPU types do."""
    path = tmp_path / "qemu-kvm"
    shutil.copy(find_qemu("x86_64"), path)
    assert bulk(path, "-o", tmp_path / "out", "--format", "extended") == 0
    assert entries(tmp_path / "out")[0]["targets"] == ["x86_64"]


@pytest.mark.qemu
def test_rows_of_a_binary(tmp_path: Path) -> None:
    """The Parquet rows contain the metadata of the extended dump and the standalone descriptions."""
    qemu = find_qemu("x86_64")
    out = tmp_path / "out"
    assert bulk(qemu, "-o", out, "--format", "parquet") == 0
    dump = vmdump.open(qemu)
    facts = query(out, "SELECT path, info, \"offset\", flags FROM fields WHERE type = 'isa-serial' ORDER BY path").rows
    serial = dump["isa-serial"].vmsd.fields[0].vmsd
    assert serial is not None
    expected = [
        (f"state.{each.name}", each.info and each.info.name, each.offset, int(each.flags))
        for each in serial.fields or ()
    ]
    assert [row for row in facts if row[0].count(".") == 1 and "/" not in row[0]] == sorted(expected)
    roots = query(out, "SELECT name, symbol, uses FROM descriptions WHERE type IS NULL AND path = ''").rows
    assert roots == [(root.name, root.symbol, list(root.uses)) for root in dump.standalone]
    versions = query(out, "SELECT DISTINCT qemu_version, build_id, host, machine FROM rows").rows
    producer = dump.producer
    assert versions == [(str(producer.version).split()[3], producer.build_id, producer.host, dump.machine)]


# Dask -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator["tuple[str, subprocess.Popen[str]]"]:
    """A Dask scheduler with two workers on this machine, over TCP: its address and process."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("tcp://"), process
        process.communicate()


@pytest.mark.slow
@pytest.mark.qemu
def test_dask(cluster: "tuple[str, subprocess.Popen[str]]", tmp_path: Path, seven: Path) -> None:
    """A run through Dask writes the same bytes."""
    out = tmp_path / "out"
    command = [*VMDUMP, "bulk", *find_debs("7.2.22"), "-o", out, "--machines", "none"]
    done = subprocess.run([*command, "--executor", f"dask://{cluster[0]}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tree(out) == tree(seven)


@pytest.mark.slow
def test_dask_loses_a_worker(cluster: "tuple[str, subprocess.Popen[str]]", tmp_path: Path) -> None:
    """If a worker dies, another one repeats its tasks."""
    address, process = cluster
    sources = tmp_path / "sources"
    for number in range(20):
        (sources / str(number)).mkdir(parents=True)
        (sources / str(number) / "aarch64.json").write_bytes(read_real_dump("7.2.22", "aarch64"))
    out = tmp_path / "out"
    command = [*VMDUMP, "bulk", str(sources), "-o", str(out), "--executor", f"dask://{address}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while len(list(out.glob("*/*/none.json"))) < 2:
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        workers = [pid for pid in children(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        stdout, stderr = run.communicate()
        assert run.returncode == 0, stderr
    assert stdout == f"{out}: 20 read, 0 unchanged\n"
    dumps = [path.read_bytes() for path in out.glob("*/*/none.json")]
    assert dumps == [read_real_dump("7.2.22", "aarch64")] * 20


@pytest.mark.slow
def test_no_scheduler(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable scheduler address is an error."""
    (tmp_path / "x.json").write_bytes(read_real_dump("7.2.22", "avr"))
    command = [*VMDUMP, "bulk", tmp_path / "x.json", "-o", tmp_path / "out", "--executor", "dask://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("vmdump: dask://127.0.0.1:1: ")
    assert done.stderr.endswith("check that a Dask scheduler listens there\n")
    assert done.stderr.count("\n") == 1
