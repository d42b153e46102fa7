"""Properties whose string has no terminating NUL."""

from vmdump.machines.determined import ERROR, determined
from vmdump.machines.model import Property, QomObject


def device(**values: object) -> QomObject:
    """An object with properties."""
    return QomObject("/machine/d", "d", tuple(Property(name, "str", value) for name, value in values.items()))


def test_text_with_an_address() -> None:
    """A value that differs at other addresses has none; unusual text that does not differ keeps it."""
    (found,) = determined(
        [device(key="secret\ufffd\x10", odd="tab\t", plain="text")],
        lambda: [device(key="secret\ufffd\x11", odd="tab\t", plain="other")],
    )
    assert [(each.name, each.value, each.error) for each in found.properties] == [
        ("key", None, ERROR), ("odd", "tab\t", None), ("plain", "text", None)
    ]  # fmt: skip


def test_usual_values() -> None:
    """Without unusual text, nothing is read again."""
    objects = [device(a="text", b=None, c=1, d="Grüße", e={"x": "\n"})]

    def again() -> list[QomObject]:
        raise AssertionError

    assert determined(objects, again) == tuple(objects)
