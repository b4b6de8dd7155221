"""What a parameter may be: one place for the checks of notebooks, run configurations and the
command line; and the base of every frozen configuration."""

import dataclasses
import hashlib
import inspect
import json
import os
import re
import reprlib
import sys
import unittest.mock
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parent.parent


class StudyError(ValueError):
    """Bad input, said in one line: the parameter, what came, and what is accepted."""


class OutOfTime(StudyError):
    """The time budget is over: what is finished is kept."""


SHORT = reprlib.Repr()
SHORT.maxlist = SHORT.maxtuple = 10
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 120


def refusal(name: str, got, accepted: str) -> StudyError:
    """The error for a parameter that came as `got`."""
    return StudyError(f"{name}: got {SHORT.repr(got)}; accepted: {accepted}")


# The accepted interval of every number, by parameter name; of a list, for each of its entries.
INTERVALS = {
    "[1, 1e4]": "STUDY_AT_ONCE depth radii resize size sizes width",
    "[1, 1e7]": """
        batch_size eval_every heat_images num_epochs num_pairs num_siren_steps num_steps num_test
        num_train other_pairs wave_epochs
    """,
    "[1e-12, 1e12]": "cutoff spacing",
    "(0, inf)": """
        adam_lr fast_frequency frequencies gd_lr grad_clip heat_norm high_frequencies
        low_frequencies lr norms periods sigma slow_frequency std
    """,
    "[0, 1e9]": "family_seeds first_noise second_noise seed seeds start wave_class",
    "[0, inf)": "frequency weight_decay weight_decays",
    "[0, 1]": "top1 true_label_weight",
    "[0, 1)": "momentum true_label_weights",
    "[8, 1e7]": "num_points num_siren_points",
    "[0, 0.5]": "amplitude",
    "[2, 1e9]": "max_images",
    "[1, 100]": "num_generations",
    "(0, 1]": "shares",
    "[-1, 1e9]": "only_class",
}
LIMITS = {name: interval for interval, names in INTERVALS.items() for name in names.split()}
CHOICES = {
    "detrend": ("line", "hann"),
    "device": ("auto", "cpu", "cuda"),
    "interpolation": ("nearest", "bilinear", "bicubic", "lanczos"),
    "network": ("relu", "fourier", "siren", "winner"),
    "optimizer": ("gd", "adam"),
    "path": ("linear", "slerp", "fourier_amplitude", "fourier_phase", "random_direction"),
    "precision": ("auto", "fp32", "bf16"),
    "wave_on": ("augmented", "clean"),
}
TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool}


def _in_interval(value: float, interval: str) -> bool:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    touches = (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")
    return touches or low < value < high


def check(name: str, value, annotation: str):
    """Return `value` if parameter `name` may have it, else raise StudyError. annotation: "int",
    "float", "str", "bool", a list such as "list[float]", or either with " | None". An int is
    welcome where a float is asked for; text is never taken for a number."""
    optional = re.fullmatch(r"(.*?)\s*\|\s*None", annotation)
    if optional:
        return None if value is None else check(name, value, optional[1])
    if listed := re.fullmatch(r"(?:list|tuple)\[(\w+)(?:, \.\.\.)?\]", annotation):
        if not isinstance(value, list | tuple) or len(value) == 0:
            raise refusal(name, value, f"a list of at least one {listed[1]}")
        return [check(name, entry, listed[1]) for entry in value]
    if annotation not in TYPES:
        kinds = ", ".join(TYPES)
        raise StudyError(f"{name}: type {annotation!r} is not one of {kinds} or a list of them")
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if not isinstance(value, TYPES[annotation]) or (annotation in ("int", "float") and not number):
        raise refusal(name, value, annotation)
    interval = LIMITS.get(name, "(-inf, inf)")
    if number and not (abs(value) <= sys.float_info.max and _in_interval(value, interval)):
        raise refusal(name, value, f"{annotation} in {interval}")
    if annotation == "str" and re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", value):
        raise refusal(name, value, "text without control characters")
    if name in CHOICES and annotation == "str" and value not in CHOICES[name]:
        raise refusal(name, value, ", ".join(CHOICES[name]))
    return value


def check_typed(namespace: dict) -> dict:
    """Check every typed name of a notebook (its parameters) and return them by name. namespace: the
    notebook's globals(), whose `__annotations__` hold the parameters' types."""
    kinds, text = namespace.get("__annotations__", {}), inspect.formatannotation
    return {name: check(name, namespace[name], text(kind)) for name, kind in kinds.items()}


def without_folders(value):
    """A value of a parameter, or a list of them, without the folders of the files that it names."""
    if isinstance(value, str):  # numbers, as mean=0.485/0.456/0.406, are no folders
        return re.sub(r"([:=])(?![\d./]+(?:,|$))[^:=,]*/", r"\1", value)
    return [without_folders(entry) for entry in value] if isinstance(value, list) else value


def hash_of(value) -> str:
    """16 hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every frozen configuration: its fields checked, in canonical form, with a key. Equal
    configurations have equal keys: of a float field 1 and 1.0 are one value. A subclass has a
    `kind` and a `version`, which is raised when the same configuration would give other results."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1
    made_by: ClassVar[tuple[str, ...]] = ()  # folders, files of lib that it runs: `runs.code_of`
    kinds: ClassVar[dict[str, type]] = {}  # every subclass by its kind

    def __init_subclass__(cls):
        Config.kinds[cls.kind] = cls

    def __post_init__(self):
        for field in dataclasses.fields(self):
            annotation, value = inspect.formatannotation(field.type), getattr(self, field.name)
            if "Config" in annotation:  # another configuration, checked when it was made
                continue
            value = check(field.name, value, annotation)
            if annotation.startswith("float") and value is not None:
                value = float(value)
            object.__setattr__(self, field.name, tuple(value) if isinstance(value, list) else value)

    def identity(self) -> dict:
        """The fields that differ from their defaults: what the key hashes."""
        fields = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {field.name: value for field, value in fields if value != field.default}

    def key(self) -> str:
        """Kind, version and identity, hashed: 16 hex digits."""
        return hash_of({"kind": self.kind, "version": self.version, **self.identity()})

    def described(self) -> dict:
        """All fields as plain values, a list as text."""
        plain = dataclasses.asdict(self).items()
        return {k: " ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in plain}

    @classmethod
    def defaults(cls) -> dict:
        """`described` of the fields with a default: what a run made before a field existed was."""
        fields = {field.name: field.default for field in dataclasses.fields(cls)}
        return {name: value for name, value in fields.items() if value is not dataclasses.MISSING}

    @classmethod
    def fields_in(cls, parameters: dict, but: tuple = ()) -> dict:
        """Those of a notebook's `parameters` that are fields of this configuration."""
        names = [field.name for field in dataclasses.fields(cls) if field.name not in but]
        return {name: parameters[name] for name in names if name in parameters}


def environment(**values):
    """A context with these environment variables, None as it was; afterwards all are as before."""
    given = {name: str(value) for name, value in values.items() if value is not None}
    return unittest.mock.patch.dict(os.environ, given)


def folder(variable: str, default: str) -> Path:
    """The folder in environment variable `variable`, else `default` in the project, absolute."""
    return Path(os.environ.get(variable) or ROOT / default).expanduser().resolve()
