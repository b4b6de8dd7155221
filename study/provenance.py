"""What an executed notebook says of how it was made, and leaves for the scoreboard."""

import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from lib import runs
from lib.parameters import ROOT, StudyError, check_typed, hash_of, without_folders

MIME = "application/vnd.spectral-bias-study+json"


def commit() -> str:
    """Short hash of the checked-out commit, + where files differ from it; unknown without git, and
    in a copy that lies in another repository."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    options = {"cwd": ROOT, "env": own, "capture_output": True, "text": True, "check": True}
    git = functools.partial(subprocess.run, **options)
    try:
        top = git(["git", "rev-parse", "--show-toplevel"]).stdout.strip()
        described = git(["git", "describe", "--always", "--dirty=+", "--exclude=*"]).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described if Path(top).resolve() == ROOT else "unknown"


def record(claimed: list, trained_runs: list, namespace: dict, measured_on="", opened=()) -> None:
    """The notebook's last cell: print what made it, leave claims and run keys in the notebook.
    claimed: Claims; trained_runs: the runs.Run that it read; namespace: its globals(), for the
    parameters; measured_on: the device, where nothing was trained; opened: the runs whose weights
    the notebook reads itself, which `export` copies too."""
    from IPython.display import display

    if not claimed:
        raise StudyError("record: got no claim; accepted: at least one")
    used = {name: without_folders(value) for name, value in check_typed(namespace).items()}
    spent = {one.key: one.record.get("core_seconds") for one in trained_runs}
    keys = sorted(spent)
    devices = sorted({run.record["device"] for run in trained_runs} or {measured_on})
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {"numpy": np.__version__, "platform": sys.platform}
    trained = f"{len(keys)}: {' '.join(keys[:6])}{' ...' if len(keys) > 6 else ''}"
    lines = {
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "device": ", ".join(devices),
        "commit": commit(),
        "parameters": hash_of(used),
        "runs": trained if keys else "none trained",
    }
    if older := sorted(runs.older_used):
        lines["older code"] = f"made {len(older)} of the runs and measurements: {' '.join(older)}"
    content = {"claims": [claim.row() for claim in claimed], "runs": keys, "parameters": used}
    content |= {"versions": versions, "commit": lines["commit"], "older_code": older}
    content |= {"seconds": spent, "opened": sorted({run.key for run in opened})}
    valid = json.loads(json.dumps(content, default=str), parse_constant=lambda name: None)  # no NaN
    text = "\n".join(f"{name:<12}{value}" for name, value in lines.items())
    display({"text/plain": text, MIME: valid}, raw=True)
