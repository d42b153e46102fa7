"""A reference implementation of QEMU's dump format in Python, to compare the C engines with on generated trees."""

from hypothesis import strategies as st

from vmdump.vmstate import VMStateDescription, VMStateField, VMStateFlags

INT32 = st.integers(-(2**31), 2**31 - 1)
SMALL_INT = st.integers(-1, 12)
NAMES = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"\\'), max_size=40),
    st.sampled_from(["", "x" * 31, "x" * 32, "x" * 33, "x" * 512, "x" * 513, "é" * 300, "\x7f"]),
)


def fields(descriptions: st.SearchStrategy[VMStateDescription | None]) -> st.SearchStrategy[VMStateField]:
    """Fields with every attribute that QEMU prints."""
    return st.builds(
        VMStateField,
        NAMES,
        size=st.one_of(st.integers(0, 1000), st.integers(0, 2**64 - 1)),
        num=st.one_of(SMALL_INT, INT32),
        flags=st.sampled_from([VMStateFlags.SINGLE, VMStateFlags.ARRAY, VMStateFlags.ARRAY | VMStateFlags.MUST_EXIST]),
        version_id=st.one_of(st.just(0), SMALL_INT, INT32),
        vmsd=descriptions,
        field_exists=st.sampled_from([None, False, True]),
    )


def _describe(children: st.SearchStrategy[VMStateDescription] | None) -> st.SearchStrategy[VMStateDescription]:
    lists = [] if children is None else [st.lists(children, max_size=3)]
    return st.builds(
        VMStateDescription,
        NAMES,
        version_id=st.one_of(SMALL_INT, INT32),
        minimum_version_id=st.one_of(SMALL_INT, INT32),
        fields=st.none() | st.lists(fields(st.none() if children is None else st.none() | children), max_size=5),
        subsections=st.one_of(st.none(), st.just([]), *lists),
    )


DESCRIPTIONS = st.recursive(_describe(None), _describe, max_leaves=12)


def dump(machine: str, devices: list[tuple[str, VMStateDescription]], print_num: bool = True) -> str:
    """Return the text of a dump, line by line as the format's grammar says."""
    sections = "".join(",\n" + _device(name, vmsd, print_num) for name, vmsd in devices)
    return f'{{\n  "vmschkmachine": {{\n    "Name": "{machine}"\n  }}{sections}\n}}\n'


def _device(name: str, vmsd: VMStateDescription, print_num: bool) -> str:
    return (
        f'  "{name}": {{\n    "Name": "{name}",\n    "version_id": {vmsd.version_id},\n'
        f'    "minimum_version_id": {vmsd.minimum_version_id},\n    "Description": '
        + _object(vmsd, 4, print_num)
        + "\n  }"
    )


def _object(vmsd: VMStateDescription, indent: int, print_num: bool) -> str:
    pad = " " * (indent + 2)
    text = (
        f'{{\n{pad}"name": "{vmsd.name}",\n{pad}"version_id": {vmsd.version_id},\n'
        f'{pad}"minimum_version_id": {vmsd.minimum_version_id}'
    )
    if vmsd.fields is not None:
        printed = [field for field in vmsd.fields if not field.flags & VMStateFlags.MUST_EXIST]
        text += f',\n{pad}"Fields": [\n' + ",\n".join(_field(f, indent + 4, print_num) for f in printed) + f"\n{pad}]"
    if vmsd.subsections is not None:
        listed = [f"{pad}  {_object(sub, indent + 4, print_num)}" for sub in vmsd.subsections]
        text += f',\n{pad}"Subsections": [\n' + ",\n".join(listed) + f"\n{pad}]"
    return text + "\n" + " " * indent + "}"


def _field(field: VMStateField, indent: int, print_num: bool) -> str:
    pad = " " * (indent + 2)
    exists = "true" if field.field_exists else "false"
    num = f'{pad}"num": {field.num},\n' if print_num and field.flags & VMStateFlags.ARRAY else ""
    nested = f',\n{pad}"Description": {_object(field.vmsd, indent + 2, print_num)}' if field.vmsd else ""
    return (
        f'{" " * indent}{{\n{pad}"field": "{field.name}",\n{pad}"version_id": {field.version_id},\n'
        f'{pad}"field_exists": {exists},\n{num}{pad}"size": {field.size}{nested}\n{" " * indent}}}'
    )
