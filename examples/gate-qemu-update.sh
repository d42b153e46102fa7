#!/bin/sh
# Gates an update of QEMU in CI: can VMs migrate between the QEMU that is in use and the one that is proposed?
# Usage: gate-qemu-update.sh OLD NEW DIR
#
# OLD and NEW are packages' folders, unpacked trees or dumps, of any number of versions; DIR keeps what was read, so that
# a later run reads what has changed (let CI cache it). Exit code: 0 all can, 1 some can't, 3 something can't be read.
set -eu
if [ $# -ne 3 ]; then
    echo "usage: $0 OLD NEW DIR" >&2
    exit 2
fi
vmdump bulk "$1" "$2" -o "$3" --format extended
exec vmdump check --matrix "$3"
