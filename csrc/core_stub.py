"""Write vmdump/_core.pyi, the types of the C core, from the declarations that cffi compiles.

    python csrc/core_stub.py

Run it after changing what a header declares between its cdef marks; a test compares the file with the headers.
In the stub a class stands for a C struct and for a pointer to it, as cffi reads members and elements of both alike.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ffi_build import ROOT, ffibuilder

STUB = ROOT / "vmdump" / "_core.pyi"

HEAD = '''\
# The C core as cffi builds it. Written by csrc/core_stub.py from the headers in csrc/; do not edit.
# ruff: noqa: E501, N801
# fmt: off
# A class named like a struct stands for the struct and for a pointer to it: cffi reads members of both alike.
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload, type_check_only

_T = TypeVar("_T")

@type_check_only
class CValue:
    """A C value that Python does not convert: a pointer, an array, a struct, or an integer that was cast."""

    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...

@type_check_only
class Pointer(CValue, Generic[_T]):
    """A pointer to T, or an array of T."""

    def __getitem__(self, index: int) -> _T: ...
    def __setitem__(self, index: int, value: _T) -> None: ...
    def __add__(self, count: int) -> Pointer[_T]: ...
    def __iter__(self) -> Iterator[_T]: ...
    def __len__(self) -> int: ...

#: What cffi takes for a pointer: a pointer, or bytes for char *.
_Address: TypeAlias = CValue | bytes

#: What cffi takes for an array of integers.
_Integers: TypeAlias = Pointer[int] | Pointer[bytes] | Sequence[int]
'''

#: The C types that Python code of the package passes to ffi.new and ffi.cast, apart from those of the structs.
_PLAIN = ("int32_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "uintptr_t", "size_t")

FFI = '''
@type_check_only
class FFI:
    """The part of cffi's FFI that the package uses."""

    NULL: Any
    CData: TypeAlias = CValue
    error: type[Exception]
{new}
    def gc(self, cdata: _T, destructor: Callable[[_T], object], size: int = 0) -> _T: ...
    def buffer(self, cdata: CValue, size: int = -1) -> memoryview: ...
    def from_buffer(self, data: bytes | bytearray | memoryview) -> Pointer[bytes]: ...
    def string(self, cdata: CValue, maxlen: int = -1) -> bytes: ...
    def unpack(self, cdata: Pointer[_T], length: int) -> list[_T]: ...
    def memmove(
        self, dest: CValue | bytearray | memoryview, src: CValue | bytes | bytearray | memoryview, n: int
    ) -> None: ...
    def sizeof(self, cdecl: str | CValue) -> int: ...
    def addressof(self, cdata: CValue, *fields_or_indexes: str | int) -> Any: ...
    def new_handle(self, value: object) -> CValue: ...
    def from_handle(self, handle: CValue) -> Any: ...
    def def_extern(
        self, name: str = ..., error: object = None,
        onerror: Callable[[type[BaseException], BaseException, Any], object] | None = None,
    ) -> Callable[[_T], _T]: ...

ffi: FFI
'''


def name_of(c_name: str) -> str:
    """Return the name of a struct's class."""
    return c_name.removeprefix("struct ").removeprefix("$")


def result(tp: Any) -> str:
    """Return the Python type of a C value that is read."""
    kind = type(tp).__name__
    if kind == "VoidType":
        return "None"
    if kind == "PrimitiveType":
        name = tp.name
        return {"_Bool": "bool", "char": "bytes", "float": "float", "double": "float"}.get(name, "int")
    if kind == "EnumType":
        return "int"
    if kind in ("StructType", "UnionType"):
        return name_of(tp.name)
    if kind in ("PointerType", "NamedPointerType", "ArrayType", "ConstPointerType"):
        target = tp.item if kind == "ArrayType" else tp.totype
        if type(target).__name__ in ("StructType", "UnionType"):
            return "CValue" if target.name == "_IO_FILE" else name_of(target.name)
        if type(target).__name__ in ("VoidType", "RawFunctionType", "FunctionPtrType"):
            return "CValue"
        return f"Pointer[{result(target)}]"
    return "CValue"


def parameter(tp: Any) -> str:
    """Return the Python type of a C argument: cffi also takes bytes for char *, and lists for arrays."""
    text = result(tp)
    return {"Pointer[bytes]": "_Address", "Pointer[int]": "_Integers"}.get(text, text)


def members(tp: Any) -> list[str]:
    """Return the lines of a struct's class."""
    name = name_of(tp.name)
    lines = ["@type_check_only", f"class {name}(CValue):"]
    lines += [f"    {field}: {result(of)}" for field, of, *_ in tp.enumfields()] if tp.fldnames else []
    lines += [
        f"    def __getitem__(self, index: int) -> {name}: ...",
        f"    def __add__(self, count: int) -> {name}: ...",
    ]
    return lines


def function(name: str, tp: Any) -> str:
    """Return the line of a function."""
    names = (f"a{index}" for index in range(len(tp.args)))
    arguments = "".join(f", {each}: {parameter(of)}" for each, of in zip(names, tp.args, strict=True))
    return f"    def {name}(self{arguments}, /) -> {result(tp.result)}: ..."


def literal(value: object) -> str:
    """Return the type of an enumerator or a macro; cffi leaves the values of some to the compiler."""
    return f"Literal[{value}]" if isinstance(value, int) and -(2**63) <= value < 2**63 else "int"


def overloads(structs: list[str]) -> list[str]:
    """Return the overloads of ffi.new and ffi.cast for the types of the core."""
    lines = []

    def add(method: str, c_type: str, python: str, argument: str) -> None:
        lines.append("    @overload")
        lines.append(f'    def {method}(self, cdecl: Literal["{c_type}"], {argument}) -> {python}: ...')

    for c_name in (each for each in structs if each.startswith("struct vmd_")):
        python = name_of(c_name)
        for c_type in (f"{c_name} *", f"{c_name}[]"):
            add("new", c_type, python, "init: Any = None")
        for c_type in (f"{c_name} **", f"const {c_name} *[]", f"const {c_name} **"):
            add("new", c_type, f"Pointer[{python}]", "init: Any = None")
    for c_type in _PLAIN:
        add("new", f"{c_type}[]", "Pointer[int]", "init: Any = None")
        add("new", f"{c_type} *", "Pointer[int]", "init: Any = None")
    lines.append("    @overload")
    lines.append("    def new(self, cdecl: str, init: Any = None) -> Any: ...")
    for c_name in structs:
        python = name_of(c_name)
        for c_type, of in ((f"{c_name} *", python), (f"const {c_name} *", python),
                           (f"const {c_name} **", f"Pointer[{python}]")):  # fmt: skip
            add("cast", c_type, of, "value: CValue | int")
    lines.append("    @overload")
    lines.append("    def cast(self, cdecl: str, value: CValue | int) -> Any: ...")
    return lines


def stub() -> str:
    """Return the text of the stub."""
    parser: Any = vars(ffibuilder)["_parser"]  # which has no public way to list what was declared
    declarations = {key: value[0] for key, value in parser._declarations.items()}
    structs: dict[str, Any] = {}
    lib: list[str] = []
    for key, tp in declarations.items():
        kind, name = key.split(" ", 1)
        if type(tp).__name__ == "StructType":
            structs.setdefault(tp.name, tp)
        if type(tp).__name__ == "EnumType":
            lib += [f"    {each}: {literal(value)}" for each, value in zip(tp.enumerators, tp.enumvalues, strict=True)]
        elif kind == "macro":
            lib.append(f"    {name}: {literal(tp)}")
        elif kind == "function":
            lib.append(function(name, tp))
        elif kind == "extern_python":
            lib.append(f"    {name}: CValue")
    c_names = [tp.get_c_name() for tp in structs.values()]
    text = HEAD
    for tp in structs.values():
        text += "\n" + "\n".join(members(tp)) + "\n"
    text += FFI.format(new="\n".join(overloads(c_names)))
    return text + "\n@type_check_only\nclass Lib:\n" + "\n".join(dict.fromkeys(lib)) + "\n\nlib: Lib\n"


if __name__ == "__main__":
    STUB.write_text(stub())
    sys.stdout.write(f"{Path(STUB).relative_to(ROOT)}: written\n")
