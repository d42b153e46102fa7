"""A dump file read and written again, compared with JSON libraries. Run by compare.py.

Ratios are the library's time over vmdump's. Files are on a tmpfs if there is one; CPU time includes the kernel's part
of reading and writing them.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from compare_engine import TMPFS
from inputs import FIELDS_A_DEVICE, make_tree
from measure import Comparison, Goal, Row, cpu_timed

import vmdump

VMDUMP = "vmdump"
N_FIELDS = 10**6

#: Rounds: json takes ten seconds for one. Source of the goals: the issue on speed.
ROUNDS = {"orjson": 7, "json": 3}
GOALS = {"orjson": Goal(at_least=6), "json": Goal(at_least=50)}


def compare_convert(quick: bool) -> Iterator[Comparison]:
    """10^6 fields, --quick 10^4."""
    n_fields = N_FIELDS // 100 if quick else N_FIELDS
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-", dir=TMPFS if TMPFS.is_dir() else None) as directory:
        source, target = Path(directory) / "in.json", Path(directory) / "out.json"
        source.write_bytes(make_tree(n_fields // FIELDS_A_DEVICE).dump_bytes())
        for name, convert in _rivals(source, target).items():
            yield Comparison(
                f"dump file of {n_fields:,} fields in, dump file out, against {name}",
                [cpu_timed(VMDUMP, lambda: _convert(source, target)), cpu_timed(name, convert)],
                [
                    Row(VMDUMP),
                    Row(name, VMDUMP, GOALS[name], promise=f"{name} vs vmdump, file in, file out, {n_fields:,} fields"),
                ],
                max_rounds=ROUNDS[name],
            )


def _convert(source: Path, target: Path) -> None:
    with target.open("wb", buffering=0) as file:
        vmdump.open(source).write(file)


def _rivals(source: Path, target: Path) -> dict[str, Callable[[], object]]:
    rivals: dict[str, Callable[[], object]] = {
        "json": lambda: target.write_text(json.dumps(json.loads(source.read_text()), indent=2))
    }
    try:
        import orjson

        indent = orjson.OPT_INDENT_2
        rivals["orjson"] = lambda: target.write_bytes(orjson.dumps(orjson.loads(source.read_bytes()), option=indent))
    except ImportError:
        pass
    return rivals
