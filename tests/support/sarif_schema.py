"""The part of SARIF 2.1.0 that vmdump writes, as a JSON schema derived from the sections of the specification (OASIS,
errata 01) given in comments. Stricter in one point: unknown properties are refused.
"""

from typing import Any


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def _array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


STRING = {"type": "string"}
INDEX = {"type": "integer", "minimum": 0}
URI = {"type": "string", "format": "uri-reference"}
BAG = {"type": "object", "properties": {"tags": _array(STRING, uniqueItems=True)}}  # 3.8
STRINGS = {"type": "object", "additionalProperties": STRING}
LEVEL = {"enum": ["none", "note", "warning", "error"]}  # 3.27.10
MESSAGE = _object("text", text=STRING)  # 3.11, and 3.12 multiformatMessageString
ARTIFACT_LOCATION = _object("", uri=URI, index=INDEX)  # 3.4
PHYSICAL_LOCATION = _object("artifactLocation", artifactLocation=ARTIFACT_LOCATION)  # 3.29
LOGICAL_LOCATION = _object("", name=STRING, fullyQualifiedName=STRING, kind=STRING)  # 3.33
LOCATION = _object(
    "", physicalLocation=PHYSICAL_LOCATION, logicalLocations=_array(LOGICAL_LOCATION, uniqueItems=True)
)  # 3.28
SUPPRESSION = _object(
    "kind",
    kind={"enum": ["inSource", "external"]},
    status={"enum": ["accepted", "underReview", "rejected"]},
    justification=STRING,
)  # 3.35
RESULT = _object(
    "message",
    ruleId=STRING,
    ruleIndex=INDEX,
    kind={"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},  # 3.27.9
    level=LEVEL,
    message=MESSAGE,
    locations=_array(LOCATION),
    fingerprints=STRINGS,
    partialFingerprints=STRINGS,
    suppressions=_array(SUPPRESSION, uniqueItems=True),
    properties=BAG,
)  # 3.27
CONFIGURATION = _object("", level=LEVEL)  # 3.50
RULE = _object(
    "id", id=STRING, shortDescription=MESSAGE, help=MESSAGE, defaultConfiguration=CONFIGURATION, properties=BAG
)  # 3.49
DRIVER = _object("name", name=STRING, version=STRING, rules=_array(RULE, uniqueItems=True))  # 3.19
NOTIFICATION = _object("message", message=MESSAGE, level=LEVEL)  # 3.58
INVOCATION = _object(
    "executionSuccessful",
    executionSuccessful={"type": "boolean"},
    toolConfigurationNotifications=_array(NOTIFICATION),
)  # 3.20
ARTIFACT = _object("", description=MESSAGE, location=ARTIFACT_LOCATION)  # 3.24
RUN = _object(
    "tool",
    tool=_object("driver", driver=DRIVER),
    invocations=_array(INVOCATION),
    artifacts=_array(ARTIFACT, uniqueItems=True),
    results=_array(RESULT),
    properties=BAG,
)  # 3.14
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    **_object(
        "version runs", **{"$schema": {"type": "string", "format": "uri"}}, version={"const": "2.1.0"}, runs=_array(RUN)
    ),
}  # 3.13
