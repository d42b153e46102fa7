"""Opener for Python modules: reads the metadata of a .py file without executing it, and runs its entry points.

A module declares at top level, as literals:

    VMDUMP_STAMP = 1  # version of this interface
    module_info = {"objs": ["my-device"], "deps": ["my-bus"], "opts": [], "arch": "x86_64"}  # each key is optional

    def vmdump_module_init(types): ...  # registers its types: types.type_register(TypeInfo(...))
    def vmdump_module_finish(): ...  # optional

It is executed under a private name, once per loader, so that loaders do not share a module's state. A module accesses
its dependencies with ``my_bus = exported_module("my-bus")``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from vmdump.errors import ModuleError
from vmdump.files.input_file import open_regular
from vmdump.modules.model import ModuleInfo, Report

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from vmdump.qom import TypeTable

__all__ = [
    "ENTRY_POINT_GROUP",
    "MAX_SOURCE_SIZE",
    "STAMP",
    "LoadedPythonModule",
    "PythonModuleOpener",
    "exported_module",
]

#: Version of the interface of Python modules; incremented by incompatible changes.
STAMP = 1

#: Limit in bytes, as listing a module parses its file.
MAX_SOURCE_SIZE = 1 << 20

#: Entry point group of installed distributions: ``my-device = "my_package.my_device"``.
ENTRY_POINT_GROUP = "vmdump.modules"

#: A file that binds none of these at top level is not a module of vmdump.
MARKS = ("VMDUMP_STAMP", "vmdump_module_init")

_serial = itertools.count(1)
_visible: ContextVar[Mapping[str, ModuleType]] = ContextVar("_visible")


def exported_module(name: str) -> ModuleType:
    """Return a dependency of the calling module as a Python module; the counterpart of RTLD_GLOBAL for C modules.

    Call it in module code, at top level or in ``vmdump_module_init``, with a name in ``module_info["deps"]``.

    Raises:
        ModuleError: called elsewhere, or the module is not loaded.

    >>> exported_module("my-bus")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    vmdump.errors.ModuleError: module 'my-bus' exports nothing to this code: ...
    """
    try:
        return _visible.get()[name]
    except LookupError:
        raise ModuleError(
            f"module '{name}' exports nothing to this code: name it in module_info[\"deps\"], "
            "and call exported_module() at top level or in vmdump_module_init"
        ) from None


class PythonModuleOpener:
    """Opens .py files, including entry points of installed distributions. An instance belongs to one loader.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from vmdump.qom import TypeTable
    >>> source = '''
    ... VMDUMP_STAMP = 1
    ... module_info = {"objs": ["my-device"]}
    ... def vmdump_module_init(types): print("registers its types")
    ... def vmdump_module_finish(): print("finishes")
    ... '''
    >>> opener = PythonModuleOpener()
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory, "my-device.py")
    ...     _ = path.write_text(source)
    ...     print(opener.read_info(str(path)).objs)
    ...     module = opener.open("my-device", str(path), False, TypeTable())
    ('my-device',)
    registers its types
    >>> module.finish()
    finishes
    """

    kind = "python"
    suffix = ".py"

    def __init__(self) -> None:
        self._exported: dict[str, ModuleType] = {}

    def read_info(self, path: str) -> ModuleInfo | None:
        """Read the module's metadata. See Opener.read_info."""
        source = _read(path)
        if not any(mark.encode() in source for mark in MARKS):
            return None  # other files need not be Python: do not parse them
        declared = _declarations(_parse(source, path))
        if not any(mark in declared for mark in MARKS):
            return None
        name = os.path.basename(path).removesuffix(self.suffix)
        return ModuleInfo(name, kind=self.kind, **_module_info(declared, path))

    def read_entry_points(self, report: Report) -> list[ModuleInfo]:
        """Return the rows of modules of installed distributions, sorted by name, without importing them.

        This takes tens of milliseconds (importlib.metadata). Invalid entry points are reported. The modules are
        executed under private names like other files; relative imports work.
        """
        from importlib.metadata import entry_points

        rows = []
        try:
            points = sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name)
        except Exception as error:  # importlib.metadata raises various exceptions for a broken entry_points.txt
            report(ModuleError(f"failed to read the installed entry points: {_in_words(error)}"))
            return []
        for point in points:
            try:
                path = _entry_point_file(point.value)
                info = self.read_info(path)
                if info is None:
                    raise ModuleError(f"{path} declares no VMDUMP_STAMP and no vmdump_module_init")
                rows.append(msgspec.structs.replace(info, name=point.name, path=path))
            except ModuleError as error:
                report(ModuleError(f"entry point '{point.name} = {point.value}': {error}"))
        return rows

    def open(self, name: str, path: str, export_symbols: bool, types: TypeTable) -> LoadedPythonModule:
        """Execute the file and run its ``vmdump_module_init``. See Opener.open.

        The file is read once, so the checked code is the executed code. Exceptions of the module, including SystemExit,
        become a ModuleError that names the exception and its line; KeyboardInterrupt passes through.
        """
        tree = _parse(_read(path), path)
        declared = _declarations(tree)
        _module_info(declared, path)
        _check_stamp(declared, path)
        with _syntax_of(path):
            code = compile(tree, path, "exec", dont_inherit=True)
        module = _new_module(name, path)
        loaded = LoadedPythonModule(name, path, module, self._exported)
        token = _visible.set(self._exported)
        try:
            with _code_of(path, "initialize"):
                exec(code, vars(module))
            init = getattr(module, "vmdump_module_init", None)
            if init is None:
                raise ModuleError(f"failed to initialize module: {path}: it must define vmdump_module_init(types)")
            with _code_of(path, "initialize"):
                init(types)
        except BaseException:
            loaded.close()
            raise
        finally:
            _visible.reset(token)
        if export_symbols:
            self._exported[name] = module
        return loaded


class LoadedPythonModule:
    """A Python module that has registered its types.

    >>> from types import ModuleType
    >>> LoadedPythonModule("my-device", "my-device.py", ModuleType("_my_device"), {}).finish()  # has none
    """

    def __init__(self, name: str, path: str, module: ModuleType, exported: dict[str, ModuleType]) -> None:
        self._name, self._path, self._module, self._exported = name, path, module, exported
        # Dataclasses and pickle look up a class's module by name.
        sys.modules[module.__name__] = module

    def finish(self) -> None:
        """Run ``vmdump_module_finish``, if defined, and close the module. Raises: ModuleError."""
        try:
            with _code_of(self._path, "finish"):
                getattr(self._module, "vmdump_module_finish", lambda: None)()
        finally:
            self.close()

    def close(self) -> None:
        """Remove the module from those visible to other modules and from sys.modules."""
        self._exported.pop(self._name, None)
        sys.modules.pop(self._module.__name__, None)


def _read(path: str) -> bytes:
    try:
        with open_regular(path) as file:
            source = file.read(MAX_SOURCE_SIZE + 1)
    except OSError as error:
        raise ModuleError(f"failed to open module: {path}: {error.strerror}") from error
    if len(source) > MAX_SOURCE_SIZE:
        raise ModuleError(f"failed to open module: {path}: larger than {MAX_SOURCE_SIZE} bytes; split it")
    return source


def _parse(source: bytes, path: str) -> ast.Module:
    import ast

    with _syntax_of(path):
        return ast.parse(source, path)


@contextlib.contextmanager
def _syntax_of(path: str) -> Iterator[None]:
    """Convert exceptions of Python's parser and compiler to ModuleError."""
    try:
        yield
    except SyntaxError as error:
        raise ModuleError(f"failed to open module: {path}:{error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # NULs; expressions nested too deep
        raise ModuleError(f"failed to open module: {path}: {_in_words(error)}") from error


def _declarations(tree: ast.Module) -> dict[str, ast.stmt | ast.expr]:
    """Return top-level assignments and functions by name. The last binding wins, as in execution."""
    import ast

    declared: dict[str, ast.stmt | ast.expr] = {}
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name):
                declared[name] = statement
            case ast.Assign(targets=targets, value=value):
                declared.update((target.id, value) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                declared[name] = value
    return declared


def _check_stamp(declared: Mapping[str, ast.stmt | ast.expr], path: str) -> None:
    """Raise ModuleError if the stamp is missing or another one. Source: QEMU 8.2.2 util/module.c module_load_dso."""
    import ast

    node = declared.get("VMDUMP_STAMP")
    if node is None:
        raise ModuleError(f"failed to initialize module: {path}: it must declare VMDUMP_STAMP = {STAMP}")
    if not (isinstance(node, ast.Constant) and type(node.value) is int and node.value == STAMP):
        raise ModuleError(
            f"failed to initialize module: {path}:{node.lineno}: VMDUMP_STAMP is not {STAMP}. "
            "Only modules from the same build can be loaded."
        )


def _module_info(declared: Mapping[str, ast.stmt | ast.expr], path: str) -> dict[str, Any]:
    """Return the members of ModuleInfo from ``module_info``. Raises: ModuleError with the line."""
    import ast

    node = declared.get("module_info")
    if node is None:
        return {}
    if not isinstance(node, ast.Dict):
        raise ModuleError(f"failed to open module: {path}:{node.lineno}: module_info must be a dict literal")
    info: dict[str, Any] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        where = f"failed to open module: {path}:{value_node.lineno}: module_info"
        try:
            key, value = ast.literal_eval(key_node or node), ast.literal_eval(value_node)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise ModuleError(f"{where} must consist of literals") from error
        match key, value:
            case "objs" | "deps" | "opts", [*names] if all(isinstance(name, str) for name in names):
                info[key] = tuple(names)
            case "objs" | "deps" | "opts", _:
                raise ModuleError(f"{where}[{key!r}] must be a list of strings")
            case "arch", str() | None:
                info[key] = value
            case "arch", _:
                raise ModuleError(f"{where}['arch'] must be a string")
            case _:
                raise ModuleError(f"{where} has no key {key!r}; it may have objs, deps, opts and arch")
    return info


def _new_module(name: str, path: str) -> ModuleType:
    """Create an empty module with a unique name in the package of the file, so that relative imports work."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    readable = "".join(char if char.isalnum() else "_" for char in name)
    private = f"{_package_prefix(path)}_vmdump_module_{next(_serial)}_{readable}"
    spec = spec_from_file_location(private, path, loader=SourceFileLoader(private, path))
    assert spec is not None  # it is None only without a loader
    return module_from_spec(spec)


def _package_prefix(path: str) -> str:
    """Return ``"package.subpackage."`` for a file in a package, else ""."""
    prefix = ""
    directory = os.path.dirname(os.path.abspath(path))
    while (part := os.path.basename(directory)) and os.path.exists(os.path.join(directory, "__init__.py")):
        prefix = f"{part}.{prefix}"
        directory = os.path.dirname(directory)
    return prefix


def _entry_point_file(dotted: str) -> str:
    """Return the source file of an importable module without importing it or its packages."""
    from importlib.util import find_spec

    root, *rest = dotted.split(".")
    if not all(part.isidentifier() for part in (root, *rest)):
        raise ModuleError("it must be the dotted name of a module without an attribute")
    try:
        spec = find_spec(root)  # a name without a dot has no package to import
    except (ImportError, ValueError):
        spec = None
    if spec is not None and not rest and spec.has_location and spec.origin:
        return spec.origin
    for location in (spec and rest and spec.submodule_search_locations) or ():
        base = os.path.join(location, *rest)
        for path in (os.path.join(base, "__init__.py"), f"{base}.py"):
            if os.path.isfile(path):
                return path
    raise ModuleError("there is no such module; reinstall the distribution that names it")


@contextlib.contextmanager
def _code_of(path: str, doing: str) -> Iterator[None]:
    """Convert exceptions of the module's code to ModuleError with the innermost line in ``path``."""
    try:
        yield
    except (Exception, SystemExit) as error:
        lines = []
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == path:
                lines.append(traceback.tb_lineno)
            traceback = traceback.tb_next
        where = f"{path}:{lines[-1]}" if lines else path
        raise ModuleError(f"failed to {doing} module: {where}: {_in_words(error)}") from error


def _in_words(error: BaseException) -> str:
    """Return an exception's type and text on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its __str__ is module code too
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
