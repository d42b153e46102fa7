"""From Python's declarations to a dump, for 10^3 to 10^6 fields. Run by compare.py.

Figures are costs for each field; ratios are to the cost at 10^3 fields.
"""

import itertools
import time
from collections.abc import Iterator

from inputs import FIELDS_A_DEVICE, make_descriptions, make_fields, make_session, register_types
from measure import Case, Comparison, Goal, Row, cpu_timed, divided

SIZES = (10**3, 10**4, 10**5, 10**6)

#: A step, and the divisor of its time.
STEPS = {
    "making fields": "s a field",
    "registering types": "s a type",
    "first dump": "s a field",
    "second dump": "s a field",
}

#: The size whose figures have goals, and the goals. Source: the issue on speed.
JUDGED = 10**5
PROMISES = (
    ("second dump", Goal(at_most=50e-9), "registry of Python devices, second and later dumps"),
    ("first dump", Goal(at_most=350e-9), "registry of Python devices, first dump, objects just made"),
)
CONSTRUCTORS = "VMSTATE_* of kinds frequent in QEMU"


def compare_registry(quick: bool) -> Iterator[Comparison]:
    """All sizes interleaved; --quick goes up to 10^4."""
    sizes = SIZES[:2] if quick else SIZES
    smallest = sizes[0]
    yield Comparison(
        "making a VMStateField through a constructor",
        [divided(cpu_timed(CONSTRUCTORS, make_fields), FIELDS_A_DEVICE)],
        [
            Row(
                CONSTRUCTORS,
                None,
                Goal(at_most=500e-9),
                "s a field",
                "making a VMStateField by a VMSTATE_* constructor",
            )
        ],
    )
    yield Comparison(
        f"registry -> dump to /dev/null, {FIELDS_A_DEVICE} fields a device",
        [_registry_case(n_fields) for n_fields in sizes],
        [
            *(
                Row(
                    _name(step, n),
                    None if n == smallest else _name(step, smallest),
                    unit=unit,
                    curve=f"registry, {step}",
                    at=n,
                )
                for step, unit in STEPS.items()
                for n in sizes
            ),
            *(
                Row(_name(step, JUDGED), goal=goal, unit="s a field", promise=promise)
                for step, goal, promise in PROMISES
                if JUDGED in sizes
            ),
        ],
        notes=[
            "making fields: VMSTATE_* with a ctypes struct, and a description for each device",
            "first dump: classes are initialised and listed, descriptions lowered; second: listed only",
        ],
    )


def _name(step: str, n_fields: int) -> str:
    return f"{step}, {n_fields:,} fields"


def _registry_case(n_fields: int) -> Case:
    def turn() -> dict[str, float]:
        session = make_session()
        clock = [time.process_time_ns()]
        descriptions = make_descriptions(n_fields)
        clock.append(time.process_time_ns())
        register_types(session, descriptions)
        clock.append(time.process_time_ns())
        first = session.dump(machine="none")
        clock.append(time.process_time_ns())
        second = session.dump(machine="none")
        clock.append(time.process_time_ns())
        del first, second  # whose deallocation is not measured
        parts = {"s a field": n_fields, "s a type": n_fields // FIELDS_A_DEVICE}
        seconds = [(end - start) * 1e-9 for start, end in itertools.pairwise(clock)]
        return {
            _name(step, n_fields): second / parts[unit]
            for (step, unit), second in zip(STEPS.items(), seconds, strict=True)
        }

    return turn
