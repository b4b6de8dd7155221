"""A Dask cluster, where the environment variable DASK_SCHEDULER_ADDRESS names its scheduler."""

import asyncio
import contextlib
import os
import sys
import uuid

from lib.parameters import StudyError, environment
from lib.runs.store import writable_store

PASSED = ("STUDY_STORE", "STUDY_DATA")  # a worker's own win: it may mount the folders elsewhere
DEMANDED = ("STUDY_DEADLINE", "STUDY_OLDER_CODE")
GOES_ON = "finished runs are kept, the same command goes on"


def address() -> str:
    """The scheduler's, "" where no cluster is asked for."""
    return os.environ.get("DASK_SCHEDULER_ADDRESS", "")


@contextlib.contextmanager
def settings(given: dict):
    """In a worker: the environment of the command that sent the task."""
    own = {name: os.environ[name] for name in PASSED if name in os.environ}
    with environment(**given | own):
        yield


def sees(name: str, given: dict) -> bool:
    """In a worker: whether its store has this file."""
    with settings(given):
        return (writable_store() / name).is_file()


@contextlib.contextmanager
def connected():
    """A client, and the settings that tasks take along. Raises StudyError where no scheduler
    answers, it has no worker, a worker's store is another one, or the scheduler goes away."""
    try:
        import distributed
    except ImportError as error:
        raise StudyError("cluster: not installed; uv sync --extra cluster") from error
    lost = (OSError, TimeoutError, asyncio.CancelledError, distributed.CancelledError)
    try:
        client = distributed.Client(address(), timeout="10s")
    except (*lost, ValueError) as error:
        remedy = "start one, or unset DASK_SCHEDULER_ADDRESS"
        raise StudyError(f"cluster: no scheduler answers at {address()}; {remedy}") from error
    store = writable_store()
    given = {name: os.environ[name] for name in (*PASSED, *DEMANDED) if name in os.environ}
    given["STUDY_STORE"] = str(store)
    token = store / f".shared-{uuid.uuid4().hex}"
    try:
        _check_workers(client, token, given)
        yield client, given
    except (*lost, distributed.KilledWorker) as error:
        raise StudyError(f"cluster: lost ({type(error).__name__}); {GOES_ON}") from error
    finally:
        token.unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _check_workers(client, token, given: dict) -> None:
    threads = client.nthreads()
    if not threads:
        raise StudyError(f"cluster: the scheduler at {address()} has no worker; start some")
    if max(threads.values()) > 1:
        print("study: cluster: a worker's threads take turns: --nthreads 1", file=sys.stderr)
    token.touch()
    seen = client.run(sees, token.name, given)
    if blind := [worker for worker, well in seen.items() if not well]:
        raise StudyError(f"cluster: worker {blind[0]} has another run store; set STUDY_STORE there")


def check_cluster() -> None:
    """Where a cluster is asked for, raise StudyError unless it is ready, see `connected`."""
    with connected() if address() else contextlib.nullcontext():
        pass
