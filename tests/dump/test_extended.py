"""The extended form: all metadata in addition to QEMU's output, loaded back without loss."""

import contextlib
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import EXAMPLES
from support.qemu import find_qemu
from support.reference import DESCRIPTIONS, INT32, NAMES

import vmdump
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.producer import Defect, Producer, ProducerModule, producer_from_json, producer_to_json
from vmdump.dump.raising import description_of
from vmdump.errors import SourceError, VMStateError
from vmdump.vmstate import VMStateDescription, VMStateField, VMStateFlags
from vmdump.vmstate.model import VMStateInfo

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
OFFSETS = st.none() | st.integers(0, 2**64 - 2)
#: 8.2's flags, and unassigned bits.
FLAGS = st.integers(0, 2**16 - 1).map(lambda bits: bits & ~VMStateFlags.END) | st.sampled_from([0x20000, 0x40000004])


def _detailed(children: st.SearchStrategy[VMStateDescription] | None) -> st.SearchStrategy[VMStateDescription]:
    """Descriptions with every attribute that the form has."""
    nested = st.none() if children is None else st.none() | children
    fields = st.builds(
        VMStateField, NAMES, offset=OFFSETS, size=st.integers(0, 2**64 - 1), num=INT32, flags=FLAGS, version_id=INT32,
        struct_version_id=INT32, info=st.none() | TEXTS.map(VMStateInfo), vmsd=nested,
        field_exists=st.sampled_from([None, True]), start=st.integers(0, 2**64 - 2), num_offset=OFFSETS,
        size_offset=OFFSETS, err_hint=st.none() | TEXTS,
    )  # fmt: skip
    hook = st.sampled_from([None, True])
    return st.builds(
        VMStateDescription, NAMES, version_id=INT32, minimum_version_id=INT32,
        fields=st.none() | st.lists(fields, max_size=4),
        subsections=st.none() if children is None else st.none() | st.lists(children, max_size=2),
        unmigratable=st.booleans(), early_setup=st.booleans(), priority=INT32, needed=hook, pre_load=hook,
        post_load=hook, pre_save=hook, post_save=hook, dev_unplug_pending=hook, load_state_old=hook,
    )  # fmt: skip


DETAILED = st.recursive(_detailed(None), _detailed, max_leaves=8)


def without(value: Any, keys: set[str]) -> Any:
    """Return JSON without some keys of its objects."""
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    return [without(item, keys) for item in value] if isinstance(value, list) else value


#: The keys that the form adds. Source: csrc/format/extended.h.
ADDED = {
    "info", "flags", "offset", "struct_version_id", "start", "num_offset", "size_offset", "err_hint", "needed", "hooks",
    "priority", "unmigratable", "early_setup", "Validations", "parents", "abstract", "desc", "module", "prints_num",
    "producer", "Descriptions",
}  # fmt: skip


@settings(max_examples=3 * EXAMPLES)
@given(DETAILED)
def test_model_survives(vmsd: VMStateDescription) -> None:
    """Every attribute of every part is kept, as are the bytes of both forms."""
    tree = lower("none", [("d", vmsd)], detailed=True)
    text = tree.dump_bytes(extended=True)
    again = engine.parse(text)
    assert description_of(again.native.devices[0].vmsd) == vmsd
    assert again.dump_bytes(extended=True) == text
    assert again.dump_bytes() == tree.dump_bytes() == lower("none", [("d", vmsd)]).dump_bytes()
    json.loads(text)


@given(DESCRIPTIONS)
def test_without_details_nothing_is_added(vmsd: VMStateDescription) -> None:
    """Without metadata the extended form equals QEMU's."""
    text = lower("none", [("d", vmsd)]).dump_bytes()
    tree = engine.parse(text)
    assert tree.dump_bytes(extended=True) == text


@given(DESCRIPTIONS)
def test_assertions_without_details(vmsd: VMStateDescription) -> None:
    """If it is unknown which fields are assertions, none are written, so that the file can be read."""
    text = lower("none", [("d", vmsd)]).dump_bytes(extended=True)
    assert engine.parse(text).dump_bytes(extended=True) == text


def test_assertions_nest_no_deeper() -> None:
    """The depth limit includes descriptions of assertions, which the extended form writes."""
    vmsd = VMStateDescription("d0", fields=[])
    for i in range(1, 1001):
        vmsd = VMStateDescription(f"d{i}", fields=[VMStateField("a", flags=VMStateFlags.MUST_EXIST, vmsd=vmsd)])
    with pytest.raises(VMStateError, match="deeper than 1000"):
        lower("none", [("d", vmsd)], detailed=True)


@given(DETAILED)
def test_superset(vmsd: VMStateDescription) -> None:
    """Without the added keys, and "num" where QEMU prints none, it equals QEMU's output."""
    tree = lower("none", [("d", vmsd)], detailed=True)
    plain, extended = json.loads(tree.dump_bytes()), json.loads(tree.dump_bytes(extended=True))

    def drop(desc: dict[str, Any]) -> None:
        for field in desc.get("Fields", ()):
            if "ARRAY" not in field["flags"]:
                field.pop("num", None)
            if "Description" in field:
                drop(field["Description"])
        for subsection in desc.get("Subsections", ()):
            drop(subsection)

    drop(extended["d"]["Description"])
    assert without(extended, ADDED) == plain


def test_built_in_devices() -> None:
    """The form has exactly what the built-in devices declare."""
    dump = vmdump.open()
    tree = engine.parse(dump.to_bytes(extended=True))
    for index, device in enumerate(dump.values()):
        facts = {"parents": device.parents, "abstract": device.abstract, "desc": device.desc, "module": device.module}
        assert tree.device_metadata(index) == facts
        assert known(description_of(tree.native.devices[index].vmsd)) == known(device.vmsd)


def known(vmsd: VMStateDescription) -> Any:
    """A description with its functions reduced to present or absent, as in the form."""
    import msgspec

    hooks = ("needed", "pre_load", "post_load", "pre_save", "post_save", "dev_unplug_pending")
    return msgspec.structs.replace(
        vmsd,
        **{hook: True if getattr(vmsd, hook) else None for hook in hooks},
        fields=vmsd.fields
        and [
            msgspec.structs.replace(
                field, field_exists=True if field.field_exists else None, vmsd=field.vmsd and known(field.vmsd)
            )
            for field in vmsd.fields
        ],
        subsections=vmsd.subsections and [known(subsection) for subsection in vmsd.subsections],
    )


def test_layout_of_the_form() -> None:
    """The exact text of the form for one device."""
    fields = [
        VMStateField("len", offset=8, size=4, info=VMStateInfo("uint32"), flags=VMStateFlags.SINGLE),
        VMStateField("len fits", 0, flags=VMStateFlags.ARRAY | VMStateFlags.MUST_EXIST, field_exists=True),
        VMStateField(
            "buf", offset=16, size=1, info=VMStateInfo("uint8"), flags=VMStateFlags.VARRAY_UINT32, num_offset=8,
            err_hint='say "so"',
        ),
    ]  # fmt: skip
    vmsd = VMStateDescription("my", version_id=2, fields=fields, post_load=True, priority=3)
    tree = lower("none", [("my-type", vmsd)], detailed=True)
    tree.set_device_metadata(0, parents=("device", "object"), abstract=False, desc="Mine\n", module="hw-my")
    tree.set_about(producer_to_json(Producer("image", "/bin/q", "QEMU 1", defects=(Defect("bad", 16),))))
    tree.set_standalone([(tree.native.devices[0].vmsd, "vmstate_my", ("save",), ("t",))])
    described = """{
          "name": "my",
          "version_id": 2,
          "minimum_version_id": 0,
          "needed": false,
          "hooks": ["post_load"],
          "priority": 3,
          "Fields": [
            {
              "field": "len",
              "version_id": 0,
              "field_exists": false,
              "size": 4,
              "info": "uint32",
              "flags": ["SINGLE"],
              "offset": 8
            },
            {
              "field": "buf",
              "version_id": 0,
              "field_exists": false,
              "size": 1,
              "info": "uint8",
              "flags": ["VARRAY_UINT32"],
              "offset": 16,
              "num_offset": 8,
              "err_hint": "say \\"so\\""
            }
          ],
          "Validations": [
            {
              "field": "len fits",
              "position": 1,
              "version_id": 0,
              "field_exists": true,
              "size": 0,
              "flags": ["ARRAY", "MUST_EXIST"],
              "offset": 0
            }
          ]
        }"""
    nested = described.replace('"size": 0,\n', '"num": 0,\n              "size": 0,\n')
    device = nested.replace("\n    ", "\n")
    assert (
        tree.dump_bytes(extended=True).decode()
        == f"""{{
  "vmschkmachine": {{
    "Name": "none",
    "producer": {{
      "version": "QEMU 1",
      "defects": [
        {{
          "what": "bad",
          "address": 16
        }}
      ]
    }},
    "Descriptions": [
      {{
        "uses": ["save"],
        "types": ["t"],
        "symbol": "vmstate_my",
        "Description": {nested}
      }}
    ]
  }},
  "my-type": {{
    "Name": "my-type",
    "version_id": 2,
    "minimum_version_id": 0,
    "abstract": false,
    "parents": ["device", "object"],
    "desc": "Mine\\u000a",
    "module": "hw-my",
    "Description": {device}
  }}
}}
"""
    )
    assert "Descriptions" not in tree.dump_bytes(extended=True, standalone=False).decode()
    again = engine.parse(tree.dump_bytes(extended=True))
    assert again.dump_bytes(extended=True) == tree.dump_bytes(extended=True)
    assert again.standalone_metadata(0) == ("vmstate_my", ("save",), ("t",))


def test_prints_num_is_kept() -> None:
    """A loaded dump of a QEMU that prints no "num" has it in the extended form only."""
    vmsd = VMStateDescription("d", fields=[VMStateField("f", size=1, num=3, flags=VMStateFlags.ARRAY)])
    tree = lower("none", [("d", vmsd)], print_num=False, detailed=True)
    text = tree.dump_bytes(extended=True)
    again = engine.parse(text)
    assert b'"num": 3' in text
    assert b"num" not in again.dump_bytes() == tree.dump_bytes()
    assert again.dump_bytes(extended=True) == text


DESC = {"name": "d", "version_id": 1, "minimum_version_id": 1}
FIELD = {"field": "f", "version_id": 0, "field_exists": False, "size": 1}
CHECK = {**FIELD, "position": 0, "flags": ["MUST_EXIST"]}


@pytest.mark.parametrize(
    ("desc", "error"),
    [
        ({"needed": True, "Fields": [FIELD]}, "incomplete metadata"),
        ({"Fields": [{**FIELD, "flags": []}]}, "incomplete metadata"),
        ({"needed": True, "Fields": [{**FIELD, "flags": []}, FIELD]}, "incomplete metadata"),
        ({"needed": True, "Validations": [CHECK]}, "incomplete metadata"),
        ({"needed": True, "Fields": [], "Validations": [{**CHECK, "position": 1}]}, "a position of Validations"),
        ({"needed": True, "Fields": [{**FIELD, "flags": ["MUST_EXIST"]}]}, "a field is in the wrong list"),
        ({"needed": True, "Fields": [], "Validations": [{**CHECK, "flags": []}]}, "a field is in the wrong list"),
        ({"needed": True, "Fields": [{**FIELD, "flags": ["ODD"]}]}, r"flags: unknown flag or hook"),
        ({"needed": True, "Fields": [{**FIELD, "flags": ["0x"]}]}, r"flags: unknown flag or hook"),
        ({"needed": True, "Fields": [{**FIELD, "flags": ["0x1g"]}]}, r"flags: unknown flag or hook"),
        ({"needed": True, "hooks": ["needed"]}, r"hooks: unknown flag or hook"),
        ({"needed": 1}, r"needed: expected true or false"),
        ({"needed": True, "priority": "high"}, r"priority: expected an integer"),
        ({"needed": True, "Fields": [{**FIELD, "flags": [], "info": "a\0b"}]}, r"info: a text contains NUL"),
        ({"needed": True, "Fields": [{**FIELD, "flags": [], "offset": -1}]}, r"offset: an integer out of range"),
    ],
)
def test_wrong_descriptions(desc: dict[str, Any], error: str) -> None:
    """Contradictory metadata is refused with its JSON path."""
    device = {"Name": "t", "version_id": 1, "minimum_version_id": 1, "Description": {**DESC, **desc}}
    with pytest.raises(SourceError, match=error) as caught:
        engine.parse(json.dumps({"vmschkmachine": {"Name": "m"}, "t": device}).encode())
    assert 'at $["t"].Description' in str(caught.value)


@pytest.mark.parametrize(
    ("machine", "error"),
    [
        ({"producer": []}, "producer: expected an object"),
        ({"producer": {"version": 1}}, "producer: version is 1; the file may have been edited"),
        ({"producer": {"colour": "red"}}, "producer: unknown key 'colour'"),
        ({"producer": {"modules": [{"build_id": "x"}]}}, "producer: .*missing 1 required positional argument"),
        ({"producer": {"defects": 7}}, "producer: "),
        ({"prints_num": 0}, "prints_num: expected true or false"),
        ({"Descriptions": [{"uses": []}]}, r"Descriptions\[0\]: a standalone description lacks uses or Descr"),
        ({"Descriptions": [{"Description": DESC}]}, r"Descriptions\[0\]: a standalone description lacks uses"),
        ({"Descriptions": {}}, "Descriptions: expected a list"),
    ],
)
def test_wrong_machines(machine: dict[str, Any], error: str, tmp_path: Path) -> None:
    """Invalid values in vmschkmachine are refused with the file name."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"vmschkmachine": {"Name": "m", **machine}}))
    with pytest.raises(SourceError, match=error) as caught:
        vmdump.open(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("text", [b'{"a": "b}', b'{"a": [', b'{"a": "\\', b"{"])
def test_producer_without_an_end(text: bytes) -> None:
    """A file that ends within the producer is told to end too early."""
    with pytest.raises(SourceError, match="unexpected end of file"):
        engine.parse(b'{"vmschkmachine": {"Name": "m", "producer": ' + text)


def test_producer() -> None:
    """A file keeps a producer's metadata except path and kind."""
    producer = Producer(
        "image", "/usr/bin/q", "QEMU 9", "ab12", "aarch64", (ProducerModule("hw-x", "cd"), ProducerModule("hw-y")),
        (Defect("w", 7, "vmstate_x", "x"),),
    )  # fmt: skip
    assert producer_from_json(producer_to_json(producer), "f.json") == producer._replace(kind="file", path="f.json")
    assert Producer.from_plain(producer.to_plain()) == producer


# A real QEMU ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image() -> DeviceDump:
    """The installed QEMU for x86_64."""
    return vmdump.open(find_qemu("x86_64"), machine="none", cache=False)


@pytest.mark.qemu
def test_image_survives(image: DeviceDump, tmp_path: Path) -> None:
    """A binary's extended dump loads back: devices, standalone descriptions, producer, bytes of both forms."""
    path = tmp_path / "x86_64.json"
    image.write(path, extended=True)
    again = vmdump.open(path)
    assert again.to_bytes(extended=True) == path.read_bytes() == image.to_bytes(extended=True)
    assert again.to_bytes() == image.to_bytes()
    assert again.producer == image.producer._replace(kind="file", path=str(path))
    assert [(root.name, root.uses, root.types) for root in again.standalone] == [
        (root.name, root.uses, root.types) for root in image.standalone
    ]


#: Descriptions that QEMU 7.2's own dump omits, with their use. Source: hw/ and target/.
ROOTS = {
    "cpu": "legacy_vmsd", "cpu_common": "register", "apic": "register", "PCIBUS": "register", "i2c_bus": "register",
    "ide": "register", "globalstate": "register", "configuration": "save", "timer": "register", "virtio": "save",
    "virtio-net-device": "VirtioDeviceClass", "virtio-mem-device": "VirtioDeviceClass", "VFIOPCIDevice": "save",
    "ipmi-bmc-sim": "register", "audio": "register", "virtio-gpu-scanouts": "save", "interval": "GTREE",
    "eeprom": "register", "(null)": "register",
}  # fmt: skip


@pytest.mark.qemu
def test_descriptions_on_no_device(image: DeviceDump) -> None:
    """Those that QEMU's source has are found, with their use; none of them is on a device."""
    found = {root.name: root for root in image.standalone}
    assert {name: found[name].uses for name in ROOTS if name in found} == {name: (use,) for name, use in ROOTS.items()}
    assert len(found["cpu"].vmsd.subsections or ()) == 43
    assert len(found["cpu"].vmsd.fields or ()) == 66
    assert found["cpu"].symbol == "vmstate_x86_cpu"
    assert found["eeprom"].vmsd.version_id == 20061113  # a date as version, as in hw/nvram/eeprom93xx.c
    # eepro100's, which each model copies under its own name.
    assert (found["(null)"].vmsd.fields or ())[0].name == "dev"
    assert found["virtio-net-device"].types == ("virtio-net-device",)
    assert not {device.vmsd_name for device in image.values()} & (ROOTS.keys() - {"ide"})


@pytest.mark.qemu
def test_classes(image: DeviceDump) -> None:
    """parent, abstract, desc and module equal QEMU's answers to -device help and qom-list-types."""
    e1000 = image["e1000"]
    assert e1000.parents == ("e1000-base", "pci-device", "device", "object")
    assert (e1000.abstract, e1000.desc, e1000.module) == (False, "Intel Gigabit Ethernet", None)
    assert image["pci-bridge"].abstract is False
    assert image["virtio-gpu-device"].module == "hw-display-virtio-gpu"
    help_text = subprocess.run([find_qemu("x86_64"), "-device", "help"], capture_output=True, text=True, check=True)
    said = {
        line.split('"')[1]: line.rpartition('desc "')[2].rstrip('"')
        for line in help_text.stdout.splitlines()
        if 'desc "' in line
    }
    assert {name: image[name].desc for name in said if name in image} == {
        name: desc for name, desc in said.items() if name in image
    }
    assert not any(image[name].abstract for name in said if name in image)


def stream_description(path: Path) -> Any:
    """Return the JSON at the end of a migration stream that describes its contents."""
    data = path.read_bytes()
    for at in range(len(data) - 5, 0, -1):
        if data[at] == 6 and at + 5 + struct.unpack_from(">I", data, at + 1)[0] == len(data):
            return json.loads(data[at + 5 :])
    raise AssertionError("no description")


def names_in_streams(vmsd: VMStateDescription) -> list[str]:
    """Return field names as in a stream, where equal names are numbered (migration/vmstate.c vmfield_name_num)."""
    names = [field.name for field in vmsd.fields or ()]
    return [
        name if names.count(name) == 1 else f"{name}[{names[:index].count(name)}]" for index, name in enumerate(names)
    ]


def same_fields(said: list[dict[str, Any]], vmsd: VMStateDescription, where: str) -> Iterator[str]:
    """Check that a stream's fields are some of a description's, in order."""
    fields = zip(names_in_streams(vmsd), vmsd.fields or (), strict=True)
    field, before = None, None
    for each in said:
        if each["name"] != before:  # different elements of an array are listed one by one
            field, before = next((field for name, field in fields if name == each["name"]), None), each["name"]
        assert field is not None, f"{where}: {each['name']}"
        kind = "struct" if field.flags & (VMStateFlags.STRUCT | VMStateFlags.VSTRUCT) else field.info.name
        assert kind == each["type"], f"{where}: {each['name']}"
        if "array_len" in each and field.flags & VMStateFlags.ARRAY:
            assert field.num == each["array_len"], f"{where}: {each['name']}"
        yield f"{where}: {each['name']}"
        if "struct" in each:
            assert field.vmsd is not None
            assert field.vmsd.name == each["struct"]["vmsd_name"]
            yield from same_fields(each["struct"]["fields"], field.vmsd, field.vmsd.name)


def one_of(said: list[dict[str, Any]], vmsds: list[VMStateDescription], name: str) -> list[str]:
    """Apply same_fields with the description that matches, of several with the section's name."""
    for vmsd in vmsds[:-1]:
        with contextlib.suppress(AssertionError):
            return list(same_fields(said, vmsd, name))
    return list(same_fields(said, vmsds[-1], name))


@pytest.mark.qemu
def test_against_a_migration(image: DeviceDump, tmp_path: Path) -> None:
    """Infos and fields of 30 sections, the CPU's included, agree with the description in a stream of a real QEMU."""
    path = tmp_path / "stream"
    command = [
        find_qemu("x86_64"), "-M", "pc", "-m", "16", "-S", "-nodefaults", "-display", "none", "-monitor", "stdio",
        "-device", "e1000", "-device", "isa-serial", "-device", "usb-ehci", "-device", "virtio-rng-pci",
        "-device", "AC97", "-device", "lsi53c895a", "-device", "ich9-ahci", "-device", "rtl8139",
        "-device", "nec-usb-xhci",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as qemu:
        qemu.communicate(f'migrate "exec:cat > {path}"\nquit\n'.encode(), timeout=60)
    described = {device.vmsd_name: device for device in image.values()} | {root.name: root for root in image.standalone}
    compared, fields = set(), []
    for section in stream_description(path)["devices"]:
        name = section.get("vmsd_name")
        if name in described and "fields" in section:
            candidates = [each.vmsd for each in (*image.values(), *image.standalone) if each.vmsd.name == name]
            fields += one_of(section["fields"], candidates, name)
            compared.add(name)
    assert {"cpu", "cpu_common", "apic", "e1000", "serial", "PCIBUS", "timer", "globalstate"} <= compared
    assert len(compared) >= 30
    assert len(fields) > 1000
