"""Large trees: a million devices through the registry in one command, within bounded memory."""

import re
import resource
import subprocess
import sys
from pathlib import Path

N_DEVICES = 1_000_000

MODULE = f"""
VMDUMP_STAMP = 1
module_info = {{"objs": ["device-0"]}}
from vmdump.qom import TypeInfo
from vmdump.vmstate import *
vmsd = VMStateDescription("many", version_id=1, minimum_version_id=1, fields=[VMStateField("x", size=4)])
def class_init(klass, data): klass.vmsd = vmsd
def vmdump_module_init(types):
    for number in range({N_DEVICES}):
        types.type_register(TypeInfo(f"device-{{number}}", parent="device", class_init=class_init))
"""

#: Bytes of address space that the process has: a kilobyte a device.
MEMORY = 1100 << 20


def test_a_million_devices(tmp_path: Path) -> None:
    """Each is in the dump once."""
    (tmp_path / "many.py").write_text(MODULE)
    out = tmp_path / "many.json"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    command = [sys.executable, "-m", "vmdump", "dump", "--module", tmp_path / "many.py", "-o", out]
    subprocess.run(command, preexec_fn=limit, check=True, capture_output=True)
    with out.open() as lines:
        found = {match[1] for line in lines if (match := re.match(r'  "device-(\d+)": {', line))}
    assert found == {str(number) for number in range(N_DEVICES)}
    out.unlink()
