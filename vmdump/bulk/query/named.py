"""Questions that are asked often, by name: SQL over the views of store.py, with parameters."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A question: its name, what it asks, its parameters with what each means and its default (None: it has to be
    given), and the SQL.
    """

    name: str
    asks: str
    parameters: dict[str, tuple[str, str | None]]
    sql: str


_DEVICE = Question(
    "device",
    "which versions have device X, for which targets, in which version of its description",
    {"device": ("QOM type, with * for any text", None)},
    """
    SELECT d.type AS device, d.producer, d.version_id, d.minimum_version_id, list(DISTINCT d.target ORDER BY d.target)
        AS targets
    FROM devices d JOIN producers p USING (producer, target)
    WHERE d.type GLOB $device
    GROUP BY d.type, d.producer, p.version_order, d.version_id, d.minimum_version_id
    ORDER BY d.type, p.version_order, d.producer, d.version_id
    """,
)

# What is told of a field where a dump is QEMU's own is compared; num only where both tell it (QEMU 8.2 and newer do).
_FACTS = {
    "size": "size",
    "num": "num",
    "version_id": "version_id",
    "field_exists": "field_exists",
    "n": "number of such fields",
}
_SIDE = ", ".join(
    f"any_value({name}) FILTER (f.producer = b.{end}) AS {name}_{when}"
    for name in _FACTS
    for end, when in (("source", "before"), ("destination", "after"))
)
_CHANGE = ", ".join(
    f"CASE WHEN {name}_before <> {name}_after THEN format('{words} {{}} -> {{}}', {name}_before, {name}_after) END"
    for name, words in _FACTS.items()
)

_FIELD = Question(
    "field",
    "where did field Y change: from which version to which, and how",
    {
        "field": ("the field's name, or the end of its path, as in core.timadj; * for any text", None),
        "device": ("QOM type, with * for any text", "*"),
        "target": ("the target", "*"),
    },
    f"""
    WITH pairs AS (
        SELECT target, producer AS destination, lag(producer) OVER in_order AS source, version_order
        FROM producers WHERE target GLOB $target
        WINDOW in_order AS (PARTITION BY target ORDER BY version_order, producer)
    ),
    facts AS (
        SELECT target, producer, type, path, min(size) AS size, min(num) AS num, min(version_id) AS version_id,
            bool_or(field_exists) AS field_exists, count(*) AS n
        FROM fields
        WHERE target GLOB $target AND type GLOB $device AND (path GLOB $field OR path GLOB concat('*.', $field))
        GROUP BY ALL
    ),
    both_have AS (
        SELECT pairs.*, type FROM pairs
        JOIN devices s ON s.target = pairs.target AND s.producer = source
        SEMI JOIN devices d ON d.target = pairs.target AND d.producer = destination AND d.type = s.type
        WHERE s.type GLOB $device
    ),
    sides AS (
        SELECT target, type, path, source, destination, version_order, {_SIDE}
        FROM both_have b JOIN facts f USING (target, type)
        WHERE f.producer IN (b.source, b.destination)
        GROUP BY ALL
    ),
    changes AS (
        SELECT target, type AS device, path, source, destination, version_order,
            CASE WHEN n_before IS NULL THEN 'added' WHEN n_after IS NULL THEN 'removed'
            ELSE concat_ws(', ', {_CHANGE}) END AS change
        FROM sides
    )
    SELECT device, path, source, destination, change, list(target ORDER BY target) AS targets
    FROM changes WHERE change <> ''
    GROUP BY ALL ORDER BY device, path, min(version_order), change
    """,
)

_UNOWNED = Question(
    "unowned",
    "which descriptions are on no device class, and how are they used",
    {"target": ("the target", "*")},
    """
    SELECT name AS description, d.producer, symbol, uses, list(DISTINCT target ORDER BY target) AS targets
    FROM descriptions d JOIN producers p USING (producer, target)
    WHERE type IS NULL AND path = '' AND target GLOB $target
    GROUP BY name, d.producer, p.version_order, symbol, uses ORDER BY name, p.version_order, symbol
    """,
)

_BLOCKED = Question(
    "blocked",
    "which types can't migrate from A to B, and why, as vmdump check has said",
    {"from": ("a producer or version", None), "to": ("a producer or version", None), "target": ("the target", "*")},
    """
    SELECT target, type, verdict, rule, path, message FROM verdicts
    WHERE target GLOB $target AND verdict IN ('breaks', 'absent')
    AND (source = $from OR source IN (SELECT producer FROM producers WHERE qemu_version = $from))
    AND (destination = $to OR destination IN (SELECT producer FROM producers WHERE qemu_version = $to))
    ORDER BY target, verdict DESC, type
    """,
)

#: All of them, by name.
QUESTIONS = {each.name: each for each in (_DEVICE, _FIELD, _UNOWNED, _BLOCKED)}
