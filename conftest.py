"""Tests and the notebooks that nbval executes start from an empty run store. Parallel workers share
it, so that what one notebook has trained no other trains again."""

import atexit
import os
import shutil
import tempfile

# tests and kernels side by side: threads that wait for each other cost a quarter of the time
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has that of the process that started it
    os.environ["STUDY_STORE"] = tempfile.mkdtemp(prefix="study-store-")
    atexit.register(shutil.rmtree, os.environ["STUDY_STORE"], ignore_errors=True)


def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto`: one more than there are cores, since many tests wait for other processes."""
    return (os.cpu_count() or 1) + 1
