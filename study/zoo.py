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


def table(profile: str = "*") -> pd.DataFrame:
    """One row a network and kind of path: its profile and all of measures.parquet."""
    held = [pd.DataFrame({"key": [], "kind": []})]
    for file in sorted((ROOT / "results").glob(f"{profile}/measures.parquet")):
        held.append(pd.read_parquet(file).assign(profile=file.parent.name))
    measures = pd.concat(held, ignore_index=True)
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
    with _tensors(known[keys[0]]) as tensors:
        names = [one for one in tensors.keys() if one.startswith(f"{keys[0]}/")]  # noqa: SIM118
        state = {one.partition("/")[2]: tensors.get_tensor(one).float() for one in names}
    for name in [one for one in state if one.endswith(SCALE)]:
        state[name.removesuffix(SCALE)] *= state.pop(name)
    models.load_weights(model, state, name)
    return model.eval()


def collect(profile: str) -> int:
    """Write results/<profile>/zoo anew, a file a family: the last weights of the runs in the
    profile's measures that are in the store and not too large; how many."""
    place = ROOT / "results" / profile
    if not (place / "measures.parquet").is_file():
        raise refusal("profile", profile, "one folder of results/ with measures")
    rows = pd.read_parquet(place / "measures.parquet").drop_duplicates("key").set_index("key")
    states = {}
    for run in (one for one in runs.all_runs() if one.key in rows.index):
        weights = run.weights(int(rows.at[run.key, "epoch"]))
        if sum(tensor.numel() for tensor in weights.values()) > MOST_PARAMETERS:
            continue
        rounded = [_rounded(name, tensor) for name, tensor in weights.items()]
        small = {f"{run.key}/{name}": tensor for one in rounded for name, tensor in one.items()}
        states.setdefault(rows.at[run.key, "model"], {}).update(small)
    create(place / "zoo")
    made = {place / "zoo" / f"{model}.safetensors": state for model, state in states.items()}
    for file, state in made.items():
        put(file, lambda f, state=state: safetensors.torch.save_file(state, f))
    for file in {*(place / "zoo").iterdir()} - {*made}:
        file.unlink()
    return len({name.partition("/")[0] for state in states.values() for name in state})


def _rounded(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """Weights as int16 with a scale an output, finer than float16 of most; vectors as they are."""
    if tensor.ndim < 2:
        return {name: tensor}
    scale = tensor.abs().amax(tuple(range(1, tensor.ndim)), keepdim=True).clamp_min(1e-30) / 32767
    return {name: (tensor / scale).round().to(torch.int16), f"{name}{SCALE}": scale}
