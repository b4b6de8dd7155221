"""Runs: what has been computed once and is kept; and how many of them are computed at a time. A
configuration (`parameters.Config`) also has `execute(device, *needed) -> (history, weights)`, where
`needed` are the runs of what its `needs()` names, if it has that."""

from lib.runs.store import WEIGHTS, Run, all_runs, export, open_run, readable, store_folder
from lib.runs.store import write_atomically
from lib.runs.sweep import at_once, find_or_execute, num_workers, out_of_time, parallel_map
from lib.runs.sweep import resolve_device, single_thread, sweep
