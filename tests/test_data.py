"""Each file of test data has an origin."""

import re
from fnmatch import fnmatchcase

from support.paths import DATA


def test_origins() -> None:
    """README.md says where each file comes from, and names no file that is gone."""
    rows = re.findall(r"^\| (`.*?) \|", (DATA / "README.md").read_text(), flags=re.MULTILINE)
    patterns = {pattern for row in rows for pattern in re.findall(r"`(.*?)`", row)}
    files = [str(path.relative_to(DATA)) for path in DATA.rglob("*") if path.is_file() and path.name != "README.md"]
    assert len(files) > 80
    assert [name for name in files if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in files)] == []
