"""What a parameter may be: one place for the checks of notebooks, run configurations and the command line."""

import contextlib
import inspect
import math
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class StudyError(ValueError):
    """Bad input, said in one line: the parameter, what came, and what is accepted."""


class OutOfTime(StudyError):
    """The time budget is over: what is finished is kept."""


# Accepted interval of every number in the study, by parameter name; of a list, for each of its entries.
LIMITS = {
    "adam_lr": "(0, inf)",
    "amplitude": "[0, 0.5]",
    "batch_size": "[1, inf)",
    "cutoff": "(0, inf)",
    "depth": "[1, inf)",
    "eval_every": "[1, inf)",
    "first_noise": "[0, inf)",
    "fractions": "[0, 1]",
    "frequencies": "(0, inf)",
    "frequency": "[0, inf)",
    "gd_lr": "(0, inf)",
    "grad_clip": "(0, inf)",
    "heat_images": "[1, inf)",
    "heat_norm": "(0, inf)",
    "high_frequencies": "(0, inf)",
    "low_frequencies": "(0, inf)",
    "lr": "(0, inf)",
    "max_images": "[2, inf)",
    "momentum": "[0, 1)",
    "norms": "(0, inf)",
    "num_epochs": "[1, inf)",
    "num_generations": "[1, 100]",
    "num_pairs": "[1, inf)",
    "num_points": "[8, inf)",
    "num_siren_points": "[8, inf)",
    "num_siren_steps": "[1, inf)",
    "num_steps": "[1, inf)",
    "num_test": "[1, inf)",
    "num_train": "[1, inf)",
    "periods": "(0, inf)",
    "radii": "[1, inf)",
    "second_noise": "[0, inf)",
    "seed": "[0, inf)",
    "seeds": "[0, inf)",
    "shares": "(0, 1]",
    "sigma": "(0, inf)",
    "sizes": "[1, inf)",
    "spacing": "(0, inf)",
    "top1": "[0, 1]",
    "true_label_weight": "[0, 1]",
    "true_label_weights": "[0, 1)",
    "wave_epochs": "[1, inf)",
    "weight_decay": "[0, inf)",
    "weight_decays": "[0, inf)",
    "width": "[1, inf)",
}
CHOICES = {
    "detrend": ("line", "hann"),
    "device": ("auto", "cpu", "cuda"),
    "path": ("linear", "slerp", "fourier_amplitude", "fourier_phase", "random_direction"),
    "precision": ("auto", "fp32", "bf16"),
    "wave_on": ("augmented", "clean"),
}
TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool}


def _in_interval(value: float, interval: str) -> bool:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    return above and (value <= high if interval[-1] == "]" else value < high)


def check(name: str, value, annotation: str):
    """Return `value` if parameter `name` may have it, else raise StudyError.

    annotation: "int", "float", "str", "bool", a list such as "list[float]", or either with " | None".
    An int is welcome where a float is asked for; text is never taken for a number.
    """
    optional = re.fullmatch(r"(.*?)\s*\|\s*None", annotation)
    if optional:
        return None if value is None else check(name, value, optional[1])
    if listed := re.fullmatch(r"(?:list|tuple)\[(\w+)(?:, \.\.\.)?\]", annotation):
        if not isinstance(value, list | tuple) or len(value) == 0:
            raise StudyError(f"{name}: got {value!r}; accepted: a list of at least one {listed[1]}")
        return [check(name, entry, listed[1]) for entry in value]
    if annotation not in TYPES:
        raise StudyError(f"{name}: type {annotation!r} is not one of {', '.join(TYPES)} or a list of them")
    if not isinstance(value, TYPES[annotation]) or (isinstance(value, bool) and annotation != "bool"):
        hint = ""
        if isinstance(value, str) and (parts := re.fullmatch(r"([+-]?\d+)\.?(\d*)[eE]([+-]?)(\d+)", value)):
            whole, decimals, sign, exponent = parts.groups()
            hint = f" (YAML reads {value} as text: write {whole}.{decimals or 0}e{sign or '+'}{exponent})"
        raise StudyError(f"{name}: got {value!r}; accepted: {annotation}{hint}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        interval = LIMITS.get(name, "(-inf, inf)")
        if math.isnan(value) or not _in_interval(value, interval):
            raise StudyError(f"{name}: got {value!r}; accepted: {annotation} in {interval}")
    if name in CHOICES and value not in CHOICES[name]:
        raise StudyError(f"{name}: got {value!r}; accepted: {', '.join(CHOICES[name])}")
    return value


def check_typed(namespace: dict) -> dict:
    """Check every typed name of a notebook (its parameters) and return them by name.

    namespace: the notebook's globals(), whose `__annotations__` hold the types of the parameters cell.
    """
    annotations = namespace.get("__annotations__", {})
    return {name: check(name, namespace[name], inspect.formatannotation(kind)) for name, kind in annotations.items()}


@contextlib.contextmanager
def environment(**values):
    """Environment variables as given, None as it was; afterwards all are as they were before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items() if value is not None})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def folder(variable: str, default: str) -> Path:
    """A folder of the study: from environment `variable`, else `default` in the project, absolute."""
    return Path(os.environ.get(variable) or ROOT / default).expanduser().resolve()
