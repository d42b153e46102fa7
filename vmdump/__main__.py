"""python -m vmdump."""

import sys

from vmdump.cli import main

sys.exit(main())
