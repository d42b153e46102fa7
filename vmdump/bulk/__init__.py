"""Many QEMUs at once: read from binaries, dumps, directories and packages, kept in a folder, and asked.

archives.py reads the formats that packages come in, packages.py unpacks what of them has to do with QEMU, sources.py
finds what there is to read, expected.py says what is meant to be a QEMU and is none. work.py is what a worker does, on
whichever executor executors.py makes; run.py has it done, in order, and keeps manifest.py's record. rows.py turns a
dump into rows, store.py finds and asks them, questions.py has those that are ready-made, verdicts.py what a check said.
"""
