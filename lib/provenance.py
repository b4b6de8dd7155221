"""What an executed notebook says of how it was made, and leaves for the scoreboard."""

import json
import platform
import subprocess
import sys

import numpy as np
import torch

from lib.claims import Claim
from lib.parameters import ROOT, StudyError, check_typed, hash_of, without_folders

MIME = "application/vnd.spectral-bias-study+json"


def commit() -> str:
    """Short hash of the checked-out commit, + where files differ from it; unknown without git."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        described = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return described.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def record(claimed: list[Claim], trained_runs: list, namespace: dict, measured_on="") -> None:
    """The notebook's last cell: print what made it, leave claims and run keys in the notebook.
    trained_runs: the runs.Run that it read; namespace: its globals(), for the parameters;
    measured_on: the device, where nothing was trained."""
    from IPython.display import display

    if not claimed:
        raise StudyError("record: got no claim; accepted: at least one")
    used = {name: without_folders(value) for name, value in check_typed(namespace).items()}
    keys = sorted({run.key for run in trained_runs})
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
    content = {"claims": [claim.row() for claim in claimed], "runs": keys, "parameters": used}
    content |= {"versions": versions, "commit": lines["commit"]}
    valid = json.loads(json.dumps(content, default=str), parse_constant=lambda name: None)  # no NaN
    text = "\n".join(f"{name:<12}{value}" for name, value in lines.items())
    display({"text/plain": text, MIME: valid}, raw=True)
