"""The conditions of a measurement: machine, Python, compiler, packages, commit."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from vmdump.version import __version__

PACKAGES = ("cffi", "msgspec", "orjson", "pytest-benchmark")


def describe_machine() -> dict[str, str]:
    """Return name and value of all conditions, in print order."""
    return {
        "machine": f"{platform.machine()}, {platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "CPU": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} usable",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "compiler": " ".join(f"{sysconfig.get_config_var(name) or ''}" for name in ("CC", "OPT")),
        "vmdump": " ".join(filter(None, (__version__, _commit()))),
        "packages": ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
        "QEMU": qemu_version("qemu-system-aarch64") or "not installed",
    }


def qemu_version(program: str) -> str | None:
    """Return the first line of a QEMU's --version, or None without a QEMU."""
    if shutil.which(program) is None:
        return None
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "cpu model", "Model"):
            return value.strip()
    return platform.processor() or "unknown model"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """Return the commit of the checkout, with + if files are modified."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
