"""Execute notebooks by papermill, two at a time, and leave what was executed before."""

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import ClassVar

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from traitlets.config import Config

from lib import runs
from lib.parameters import ROOT, OutOfTime, StudyError, environment, hash_of
from study import profiles
from study.copies import clean, payload
from study.places import unwritable
from study.profiles import NOTEBOOKS, opened
from study.world import fingerprints

CODE = (ROOT / "lib", ROOT / "study")
START_ATTEMPTS = 3
LONGEST_FOLDER = 80  # of the 107 bytes that the name of a socket may have
logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it says is said here


class Kernel(AsyncKernelManager):
    """A kernel that can be killed while another thread waits for it."""

    started: ClassVar[list] = []
    stopping: ClassVar = threading.Event()

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        Kernel.started.append(self)

    @classmethod
    def stop(cls, waiting: list[Future]) -> None:
        """Kill every kernel until nothing waits for one any more; once more Ctrl-C changes
        nothing."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cls.stopping.set()
        while any(not future.cancel() and not future.done() for future in waiting):
            for kernel in cls.started:
                if process := getattr(kernel.provisioner, "process", None):
                    process.kill()
            wait(waiting, timeout=0.2)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def in_rounds(rounds: list[dict[str, dict]], out: Path) -> tuple[list[str], str]:
    """Execute rounds of notebooks (parameters by name) into the folder `out`, two at a time on a
    CPU (one starts and draws while the other computes; they share the cores' threads), until one
    fails or the time is over: (names of those that failed, why and where it stopped, or "")."""
    workers = 1 if runs.resolve_device("auto").type == "cuda" else min(2, runs.num_workers())
    threads = os.environ.get("OMP_NUM_THREADS", max(1, runs.num_workers() // workers))
    progress = Progress(sum(map(len, rounds)))
    Kernel.stopping.clear()
    for number, round_ in enumerate(rounds, 1):
        place = f"(round {number} of {len(rounds)})"
        with ThreadPoolExecutor(workers) as pool, environment(OMP_NUM_THREADS=threads):
            tasks = [pool.submit(progress.timed, *one, out) for one in round_.items()]
            try:
                done = [task.result() for task in tasks]
            except OutOfTime as over:
                return [], f"{over} {place}"
            except KeyboardInterrupt:
                Kernel.stop(tasks)
                raise
            finally:
                for task in tasks:
                    task.cancel()
        if failed := [name for name, well in zip(round_, done, strict=True) if not well]:
            return failed, ""
        if runs.out_of_time() and number < len(rounds):
            return [], f"time budget: over {place}"
    return [], ""


class Progress:
    """One line after each notebook of a study: how many are done, and the time left."""

    def __init__(self, total: int):
        self.total, self.done, self.skipped, self.started = total, 0, 0, time.time()

    def timed(self, name: str, parameters: dict, out: Path) -> bool:
        """`execute` a notebook, then tell."""
        well = execute(name, out, parameters)
        self.done += 1
        self.skipped += well is None
        used, left = (time.time() - self.started) / 60, ""
        if (executed := self.done - self.skipped) and self.done < self.total:
            left = f", about {used / executed * (self.total - self.done):.0f} min left"
        if not Kernel.stopping.is_set():
            told = f"{self.done} of {self.total} notebooks in {used:.1f} min{left}"
            print(f"study: {told}", file=sys.stderr)
        return well is not False


def execute(name: str, out: Path, parameters: dict) -> bool | None:
    """Execute one notebook into the folder `out`. None when it was there with the same cells,
    code, parameters and data, and the store has its runs. False when a cell failed: the copy with
    the traceback takes the place of an earlier one only where that one failed too. Raises
    OutOfTime."""
    source = profiles.notebook_file(name)
    target, partial = out / source.name, out / f".{os.getpid()}-{source.name}"
    key = identity(source, name, parameters)
    if _stands(target, key):
        print(f"{source.stem}: already executed with these parameters", file=sys.stderr)
        return None
    print(f"\n{source.stem}", file=sys.stderr)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _papermill(source, partial, parameters)
        clean(partial, target, key)
        target.with_suffix(".failed.ipynb").unlink(missing_ok=True)
        return True
    except papermill.PapermillExecutionError as error:
        if error.ename == OutOfTime.__name__:  # an executed copy from before stays
            raise OutOfTime(f"{source.stem}: {error.evalue}") from None
        told = _keep_failed(error, partial, target)
    except DeadKernelError:
        told = "its kernel was killed (out of memory?); finished runs are kept, start again"
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    if not Kernel.stopping.is_set():
        print(f"study: {source.stem}: {told}", file=sys.stderr)
    return False


def _keep_failed(error: papermill.PapermillExecutionError, partial: Path, target: Path) -> str:
    kept = target.with_suffix(".failed.ipynb") if _key_of(target) else target
    clean(partial, kept)
    place = f"cell {error.cell_index} ({error.source.strip().splitlines()[0][:60]})"
    return f"{place}: {error.ename}: {error.evalue}; see {kept.name}"


def identity(source: Path, name: str, parameters: dict) -> str:
    """What an executed notebook depends on, hashed: cells, code, parameters and data."""
    cells = [(cell["source"], cell["metadata"].get("tags")) for cell in opened(source).cells]
    files = [file for folder in CODE for file in folder.rglob("*.py")]
    files += NOTEBOOKS.glob("[!0-9]*.py")  # a module that one notebook alone needs
    code = [file.read_text() for file in sorted(files)]
    content = {"source": cells, "code": code, "parameters": parameters}
    return hash_of(content | {"data": fingerprints(name, parameters)})


def _key_of(target: Path) -> str:
    """The `identity` that a well executed copy has, "" without one."""
    with contextlib.suppress(StudyError):
        return opened(target).metadata.get("study", "")
    return ""


def _stands(target: Path, key: str) -> bool:
    if _key_of(target) != key:
        return False
    held, store = payload(opened(target)), runs.store_folder()
    older = held.get("older_code") and os.environ.get("STUDY_OLDER_CODE") != "keep"
    return not older and all((store / run).is_dir() for run in held.get("runs", []))


def _papermill(source: Path, partial: Path, parameters: dict) -> None:
    """Execute `source` into `partial`. Kernels over TCP pick a port, lose it to another process now
    and then, and die: here each has sockets of its own, and one that dies is started anew."""
    options = {
        "kernel_name": "python3",
        "language": "python",
        "cwd": str(ROOT),
        "start_timeout": 120,
    }
    options |= {"stderr_file": sys.stderr, "progress_bar": {"desc": source.stem}}
    options |= {"kernel_manager_class": Kernel}
    paths = [profiles.without_fields(path) for path in (source, partial)]
    long = len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER
    for attempt in range(1, START_ATTEMPTS + 1):
        try:
            with tempfile.TemporaryDirectory(prefix="study-", dir="/tmp" if long else None) as own:
                ipc = {"KernelManager": {"transport": "ipc", "ip": f"{own}/kernel"}}
                config = Config({} if sys.platform == "win32" else ipc)
                papermill.execute_notebook(*paths, parameters, config=config, **options)
            return
        except DeadKernelError:
            raise
        except (RuntimeError, TimeoutError) as error:
            if attempt == START_ATTEMPTS:
                reason = f"its kernel did not start ({error})"
                raise StudyError(f"{source.stem}: {reason}; finished runs are kept") from error
            print(f"study: {source.stem}: kernel did not start ({error}); again", file=sys.stderr)
