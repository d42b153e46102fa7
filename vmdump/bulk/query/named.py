"""Named queries: SQL over the views of database.py, with parameters."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    """A named query.

    asks: the question it answers. parameters: meaning and default by name; a default of None means required.
    of_machines: it reads machine types, which only vmdump bulk --boot stores.
    """

    name: str
    asks: str
    parameters: dict[str, tuple[str, str | None]]
    sql: str
    of_machines: bool = False


_DEVICE_MEANING = "QOM type, or section as in an error line, with * for any text"

# The types that $device matches: by type, else by section, else by either ignoring case.
_NAMED_TYPES = """named AS (
        SELECT type FROM (
            SELECT type, CASE WHEN type GLOB $device THEN 1 WHEN section GLOB $device THEN 2 ELSE 3 END AS rank,
            FROM devices
            WHERE lower(type) GLOB lower($device) OR lower(section) GLOB lower($device)
        ) QUALIFY rank = min(rank) OVER ()
    )"""

_DEVICE = Question(
    "device",
    "which versions have device X, for which targets, in which version of its description",
    {"device": (_DEVICE_MEANING, None)},
    f"""
    WITH {_NAMED_TYPES}
    SELECT d.type AS device, d.producer, d.version_id, d.minimum_version_id, list(DISTINCT d.target ORDER BY d.target)
        AS targets
    FROM devices d JOIN producers p USING (producer, target)
    WHERE d.type IN (FROM named)
    GROUP BY d.type, d.producer, p.position, p.version_order, d.version_id, d.minimum_version_id
    ORDER BY d.type, p.position, p.version_order, d.producer, d.version_id
    """,
)

# Compares the properties of a field that QEMU's own dumps have; num only if both dumps have it (QEMU 8.2 and later).
_PROPERTIES = {
    "size": "size",
    "num": "num",
    "version_id": "version_id",
    "field_exists": "field_exists",
    "n": "number of such fields",
}
_SIDE = ", ".join(
    f"any_value({name}) FILTER (f.producer = b.{end}) AS {name}_{when}"
    for name in _PROPERTIES
    for end, when in (("source", "before"), ("destination", "after"))
)
_CHANGE = ", ".join(
    f"CASE WHEN {name}_before <> {name}_after THEN format('{words} {{}} -> {{}}', {name}_before, {name}_after) END"
    for name, words in _PROPERTIES.items()
)

_FIELD = Question(
    "field",
    "where did field Y change: between which QEMUs, in the order of the sources, and how",
    {
        "field": ("the field's name, or the end of its path, as in core.timadj; * for any text", None),
        "device": (_DEVICE_MEANING, "*"),
        "target": ("the target", "*"),
    },
    f"""
    WITH {_NAMED_TYPES},
    pairs AS (
        SELECT target, producer AS destination, lag(producer) OVER in_order AS source, position
        FROM producers WHERE target GLOB $target
        WINDOW in_order AS (PARTITION BY target ORDER BY position, version_order, producer)
    ),
    facts AS (
        SELECT target, producer, type, path, min(size) AS size, min(num) AS num, min(version_id) AS version_id,
            bool_or(field_exists) AS field_exists, count(*) AS n
        FROM fields
        WHERE target GLOB $target AND type IN (FROM named) AND (path GLOB $field OR path GLOB concat('*.', $field))
        GROUP BY ALL
    ),
    both_have AS (
        SELECT pairs.*, type FROM pairs
        JOIN devices s ON s.target = pairs.target AND s.producer = source
        SEMI JOIN devices d ON d.target = pairs.target AND d.producer = destination AND d.type = s.type
        WHERE s.type IN (FROM named)
    ),
    sides AS (
        SELECT target, type, path, source, destination, position, {_SIDE}
        FROM both_have b JOIN facts f USING (target, type)
        WHERE f.producer IN (b.source, b.destination)
        GROUP BY ALL
    ),
    changes AS (
        SELECT target, type AS device, path, source, destination, position,
            CASE WHEN n_before IS NULL THEN 'added' WHEN n_after IS NULL THEN 'removed'
            ELSE concat_ws(', ', {_CHANGE}) END AS change
        FROM sides
    )
    SELECT device, path, source, destination, change, list(target ORDER BY target) AS targets
    FROM changes WHERE change <> ''
    GROUP BY ALL ORDER BY device, path, min(position), change
    """,
)

_UNOWNED = Question(
    "unowned",
    "which standalone VMSDs are there, and how are they used",
    {"target": ("the target", "*")},
    """
    SELECT name AS description, d.producer, symbol, uses, list(DISTINCT target ORDER BY target) AS targets
    FROM descriptions d JOIN producers p USING (producer, target)
    WHERE type IS NULL AND path = '' AND target GLOB $target
    GROUP BY name, d.producer, p.position, p.version_order, symbol, uses
    ORDER BY name, p.position, p.version_order, symbol
    """,
)

_BLOCKED = Question(
    "blocked",
    "which types cannot migrate from A to B, and why, according to vmdump check",
    {"from": ("a producer or version", None), "to": ("a producer or version", None), "target": ("the target", "*")},
    """
    SELECT target, type, verdict, rule, path, message FROM verdicts
    WHERE target GLOB $target AND verdict IN ('breaks', 'absent')
    AND (source = $from OR source IN (SELECT producer FROM producers WHERE qemu_version = $from))
    AND (destination = $to OR destination IN (SELECT producer FROM producers WHERE qemu_version = $to))
    ORDER BY target, verdict DESC, type
    """,
)

_PROPERTY = Question(
    "property",
    "which versions changed property P of device D under machine type T (vmdump bulk --boot)",
    {
        "property": ("the property's name, with * for any text", None),
        "device": ("QOM type, with * for any text", None),
        "machine": ("machine type, with * for any text", "*"),
        "target": ("the target", "*"),
    },
    """
    WITH found AS (
        SELECT DISTINCT target, producer, machine, type, coalesce(path, '') AS path, property, value,
            path IS NOT NULL AS realized
        FROM properties
        WHERE type GLOB $device AND property GLOB $property AND machine GLOB $machine AND target GLOB $target
    ),
    per_type AS (
        SELECT target, producer, machine, type, property, list(DISTINCT value ORDER BY value) AS values,
            bool_and(realized) AS realized
        FROM found GROUP BY ALL
    ),
    known AS (
        SELECT DISTINCT target, producer, machine FROM properties
        WHERE machine GLOB $machine AND target GLOB $target
    ),
    pairs AS (
        SELECT k.target, k.machine, k.producer AS destination, position,
            lag(k.producer) OVER (PARTITION BY k.target, k.machine ORDER BY position, version_order, k.producer)
                AS source
        FROM known k JOIN (SELECT DISTINCT producer, target, position, version_order FROM producers) p
        USING (producer, target)
    )
    SELECT t.type AS device, t.property, t.machine, t.target, source, destination,
        array_to_string(o.values, ', ') AS before, array_to_string(n.values, ', ') AS after,
        coalesce(n.realized, o.realized) AS realized
    FROM (SELECT DISTINCT target, machine, type, property FROM per_type) t
    JOIN pairs USING (target, machine)
    LEFT JOIN per_type o ON (o.target, o.machine, o.type, o.property, o.producer)
        = (t.target, t.machine, t.type, t.property, pairs.source)
    LEFT JOIN per_type n ON (n.target, n.machine, n.type, n.property, n.producer)
        = (t.target, t.machine, t.type, t.property, pairs.destination)
    WHERE source IS NOT NULL AND o.values IS DISTINCT FROM n.values
    ORDER BY device, t.property, t.machine, t.target, position
    """,
    of_machines=True,
)

_OFF = Question(
    "off",
    "in which machine types is property P of device D off (vmdump bulk --boot)",
    {
        "property": ("the property's name, with * for any text", None),
        "device": ("QOM type, with * for any text", "*"),
        "machine": ("machine type, with * for any text", "*"),
        "target": ("the target", "*"),
    },
    """
    SELECT p.producer, target, machine, type AS device, property, value, bool_and(path IS NOT NULL) AS realized
    FROM properties p JOIN (SELECT DISTINCT producer, target, position, version_order FROM producers) o
    USING (producer, target)
    WHERE type GLOB $device AND property GLOB $property AND machine GLOB $machine AND target GLOB $target
    AND value IN ('false', '"off"', '0')
    GROUP BY p.producer, target, machine, type, property, value, o.position, o.version_order
    ORDER BY device, property, o.position, o.version_order, target, machine
    """,
    of_machines=True,
)

#: The named queries by name.
QUESTIONS = {each.name: each for each in (_DEVICE, _FIELD, _UNOWNED, _BLOCKED, _PROPERTY, _OFF)}
