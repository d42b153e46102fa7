"""vmdump bulk and query: reads many QEMUs into a directory, and queries that directory.

discover.py finds the sources, packages/ unpacks those that ship in packages. tasks.py defines what workers do and
return, worker.py does it; process_pool.py and workers.py run the workers, scheduler.py keeps them busy. run.py runs
units of work (units.py) in order, counts them (tally.py), and records the results (manifest.py). query/ turns dumps
into Parquet rows and answers SQL over them.
"""
