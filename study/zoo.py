"""The zoo: trained networks that came with the study, their weights rounded to 16 bits, so that
anyone can measure the same networks in a way of their own."""

import math
from pathlib import Path

import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import nn

from lib import data, measure, models, runs
from lib.parameters import ROOT, StudyError, refusal
from study.places import create, put

PREFIX = "zoo:"
SCALE = "#scale"  # ends the name of a weight's scale
MOST_PARAMETERS = 350_000  # of a network that is kept


def files(profile: str = "*") -> dict[str, Path]:
    """The file of every network of the zoo by its key."""
    found = {}
    for file in sorted((ROOT / "results").glob(f"{profile}/zoo/*.safetensors")):
        with _tensors(file) as tensors:
            found |= {name.partition("/")[0]: file for name in tensors.keys()}  # noqa: SIM118
    return found


def _tensors(file: Path):
    try:
        return safetensors.safe_open(file, "pt")
    except (OSError, safetensors.SafetensorError) as error:
        raise StudyError(f"zoo: {file.name} is damaged; restore it from the repository") from error


def _copy(file: Path, key: str) -> dict[str, torch.Tensor]:
    """What the file holds of one network, by KEY/NAME."""
    with _tensors(file) as held:
        names = [one for one in held.keys() if one.startswith(f"{key}/")]  # noqa: SIM118
        return {one: held.get_tensor(one) for one in names}


def shipped_measures(profile: str = "*") -> pd.DataFrame:
    """results/<profile>/measures.parquet, a row a run, protocol and kind. Raises StudyError."""
    files = {file.parent.name: file for file in (ROOT / "results").glob("*/measures.parquet")}
    if profile not in ("*", *files):
        raise refusal("profile", profile, f"one with measures: {', '.join(sorted(files))}")
    names = sorted(files) if profile == "*" else [profile]
    tables = [pd.read_parquet(files[name]).assign(profile=name) for name in names]
    return pd.concat(tables or [pd.DataFrame(columns=["key", "kind"])], ignore_index=True)


def table(profile: str = "*") -> pd.DataFrame:
    """One row a network and kind of path: its profile and measures."""
    measures = shipped_measures(profile)
    return measures[measures["key"].isin(files(profile))]


def lines(rows: pd.DataFrame) -> str:
    """A line a network: key, what it is, accuracy, and HFF and power out of band of both kinds."""
    form = "{:<14}{:<14}{:>8}" + "{:>15}" * 4 + "  {}"
    names = [(name, kind) for name in ("hff", measure.PRIMARY) for kind in measure.KINDS]
    heads = [f"{name.partition('_')[0]}_{kind}" for name, kind in names]
    text = [form.format("network", "model", "accuracy", *heads, "what")]
    rows = rows.drop_duplicates(["key", "kind"]).set_index(["key", "kind"])
    about = rows.groupby("key").first().sort_values(["profile", "model", "condition", "seed"])
    for key, row in about.iterrows():
        numbers = [f"{rows[name].get((key, kind), math.nan):.3g}" for name, kind in names]
        what = f"seed {row['seed']:.0f}, {row['augmentation']}, decay {row['weight_decay']:g}"
        cells = [PREFIX + key[:8], row["model"], f"{row['test_accuracy']:.3f}", *numbers, what]
        text.append(form.format(*cells))
    return "\n".join([*text, f"{len(about)} networks"])


def network(name: str, dataset: data.Dataset) -> nn.Module:
    """The network zoo:KEY, in eval mode and float32, for its dataset. Raises StudyError."""
    known, start = files(), name.removeprefix(PREFIX)
    keys = [key for key in known if start and key.startswith(start)]
    if len(keys) != 1:
        raise refusal("network", name, f"zoo:KEY of one of {len(known)} that `study zoo` lists")
    row = table().set_index("key").loc[keys].iloc[0]
    model = models.build(row["model"], dataset.image_shape, dataset.num_classes)
    held = _copy(known[keys[0]], keys[0])
    state = {one.partition("/")[2]: tensor.float() for one, tensor in held.items()}
    for name in [one for one in state if one.endswith(SCALE)]:
        state[name.removesuffix(SCALE)] *= state.pop(name)
    models.load_weights(model, state, name)
    return model.eval()


def collect(profile: str) -> int:
    """Write results/<profile>/zoo anew, a file a family: the last weights of the runs in the
    profile's measures that are not too large; how many. What the store lacks stays as it was."""
    place, states = ROOT / "results" / profile / "zoo", {}
    if profile == "*":
        raise refusal("profile", profile, "one folder of results/")
    rows = shipped_measures(profile).drop_duplicates("key").set_index("key")
    present = {run.key: run for run in runs.all_runs() if run.key in rows.index}
    for key, file in files(profile).items():
        if key in rows.index and key not in present:
            states.setdefault(rows.at[key, "model"], {}).update(_copy(file, key))
    for key, run in present.items():
        weights = run.weights(int(rows.at[key, "epoch"]))
        if sum(tensor.numel() for tensor in weights.values()) > MOST_PARAMETERS:
            continue
        rounded = [_rounded(name, tensor) for name, tensor in weights.items()]
        small = {f"{key}/{name}": tensor for one in rounded for name, tensor in one.items()}
        states.setdefault(rows.at[key, "model"], {}).update(small)
    create(place)
    made = {place / f"{model}.safetensors": state for model, state in states.items()}
    for file, state in made.items():
        put(file, lambda f, state=state: safetensors.torch.save_file(state, f))
    for file in {*place.iterdir()} - {*made}:
        file.unlink()
    return len({name.partition("/")[0] for state in states.values() for name in state})


def _rounded(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """Weights as int16 with a scale an output, finer than float16 of most; vectors as they are."""
    if tensor.ndim < 2:
        return {name: tensor}
    scale = tensor.abs().amax(tuple(range(1, tensor.ndim)), keepdim=True).clamp_min(1e-30) / 32767
    return {name: (tensor / scale).round().to(torch.int16), f"{name}{SCALE}": scale}
