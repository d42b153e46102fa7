"""Type tables for the tests of QOM."""

import pytest

from vmdump.errors import QOMError
from vmdump.qom import TypeInfo, TypeTable, register_base_types


def make_table(*infos: TypeInfo, module_load_qom=None) -> TypeTable:
    table = TypeTable(module_load_qom)
    register_base_types(table)
    for info in infos:
        table.type_register(info)
    return table


def device(name: str, **kwargs) -> TypeInfo:
    return TypeInfo(name, **{"parent": "device", **kwargs})


def names(classes) -> list[str]:
    return [klass.get_name() for klass in classes]


def error_of(function, *args) -> str:
    with pytest.raises(QOMError) as info:
        function(*args)
    assert "\n" not in str(info.value)
    return str(info.value)
