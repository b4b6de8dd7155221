"""Runs: what has been computed once and is kept; and how many of them are computed at a time. A
configuration (`parameters.Config`) also has `execute(device, *needed) -> (history, weights)`, where
`needed` are the runs of what its `needs()` names, if it has that."""

from lib.runs.cluster import check_cluster
from lib.runs.code import code_of
from lib.runs.parallel import at_once, num_workers, out_of_time, parallel_map, resolve_device
from lib.runs.parallel import single_thread
from lib.runs.sealed import Damage, readable, unsealed, verified, write_sealed
from lib.runs.store import WEIGHTS, Run, all_runs, find, look_up, older_used, open_run
from lib.runs.store import store_folder
from lib.runs.sweep import find_or_execute, sweep
