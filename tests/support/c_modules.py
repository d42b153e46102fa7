"""C modules built by the tests, and a registry that loads them."""

import os

import pytest

from support.paths import ROOT
from vmdump._core import lib
from vmdump.errors import ModuleError, QOMError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.loader import ModuleLoader
from vmdump.modules.model import ModuleLoad
from vmdump.modules.table import read_module_table
from vmdump.qom import TypeTable, register_base_types

INCLUDE = ROOT / "vmdump" / "include"
CC = os.environ.get("CC", "cc")
#: The head of a module that registers one type, without its class_init.
DEVICE = """
#include <vmdump/module.h>
#ifndef PARENT
#define PARENT TYPE_DEVICE
#endif
static void class_init(ObjectClass *klass, void *data);
static const TypeInfo types[] = { { .name = TYPE, .parent = PARENT, .class_init = class_init } };
DEFINE_TYPES(types)
module_obj(TYPE);
VMDUMP_MODULE();
"""
CLASS_INIT = "static void class_init(ObjectClass *klass, void *data) { DEVICE_CLASS(klass)->desc = DESC; }\n"


class Registry:
    """A loader of C modules and its type table, as in a Session."""

    def __init__(self, *dirs, arch="x86_64"):
        self.opener = CModuleOpener()
        self.types = TypeTable(lambda typename: self.loader.module_load_qom(typename))
        register_base_types(self.types)
        errors = []
        table = read_module_table(dirs, [self.opener], report=errors.append)
        assert errors == []
        self.loader = ModuleLoader(
            table, module_arch=arch, search_dirs=dirs, openers=[self.opener], types=self.types, report=None
        )

    def load(self, name):
        """Return the result of loading a module, and its error if any."""
        errors = []
        result = self.loader.module_load("", name, errors.append)
        return (result, str(errors[0])) if errors else result

    def load_error(self, name):
        """Return the reason why a module does not load, without the loader's suffix."""
        result, text = self.load(name)
        assert result is ModuleLoad.ERROR
        text, found, path = text.partition(f" (module={name}, path=")
        assert found, "the error does not say which module it is about"
        assert not is_loaded(path.removesuffix(")")), "a module that failed is still open"
        return text

    def class_error(self, typename):
        """Return the reason why a class cannot be initialised."""
        with pytest.raises((ModuleError, QOMError)) as caught:
            self.types.module_object_class_by_name(typename)
        return str(caught.value)

    def __getitem__(self, typename):
        """Return the class of a type, loading its module if needed."""
        return self.types.module_object_class_by_name(typename)


def is_loaded(file):
    """Whether a shared object is mapped into this process."""
    handle = lib.dlopen(os.fsencode(file), os.RTLD_NOW | os.RTLD_NOLOAD)
    if handle:
        lib.dlclose(handle)
    return bool(handle)


def description(name, version_id, minimum_version_id, *fields, subsections=None):
    """A description as -dump-vmstate prints it."""
    printed = {"name": name, "version_id": version_id, "minimum_version_id": minimum_version_id, "Fields": [*fields]}
    return printed if subsections is None else printed | {"Subsections": subsections}


FINISH = """
#include <stdio.h>
#include <stdlib.h>
void vmdump_module_finish(void)
{
    FILE *file = fopen(getenv("TEST_FINISHED"), "a");
    fprintf(file, "%s\\n", TYPE);
    fclose(file);
}
"""
