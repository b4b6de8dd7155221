"""Networks that others trained, by name or with weights from a file, and what they expect."""

import math
import re
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from lib import doors
from lib.data import Preprocessing, in_data_folder
from lib.models import families
from lib.parameters import StudyError, refusal
from lib.plain import from_yaml

FORMS = "torchvision:NAME, timm:NAME, each with ,KEY=VALUE as often as needed"
INPUT_KEYS = ("size", "resize", "mean", "std", "interpolation")
FILES = "safetensors, or a plain state dict of names with tensors"


def is_external(name: str) -> bool:
    """Whether `name` is that of a library's network, not one of the study's own."""
    return ":" in name and not doors.is_own(name)


def parse(name: str) -> tuple[str, str, dict]:
    """(library, architecture, arguments) of a name: timm:mobilenetv2_100,pad_type=same,std=0.5."""
    match = re.fullmatch(r"(torchvision|timm):([^,]+)((?:,[^\W\d]\w*=[^,]+)*)", name)
    if not match:
        raise refusal("network", name, FORMS)
    pairs = (option.split("=", 1) for option in match[3].split(",")[1:])
    return match[1], match[2], {k: from_yaml(f"network: {k}", v) for k, v in pairs}


def architecture(name: str, **arguments) -> tuple[nn.Module, Preprocessing]:
    """The untrained network torchvision:NAME or timm:NAME, built with `arguments`, and its
    preprocessing. timm:mobilenetv1_WWW may have any width, WWW hundredths of the full one. Raises
    StudyError when the library has no such network or refuses an argument."""
    import timm
    from torchvision.models import get_model, get_model_weights

    library, short, _ = parse(name)
    width = re.fullmatch(r"mobilenetv1_(\d\d\d)", short)
    try:
        if library == "torchvision":
            model = get_model(short, weights=None, **arguments)
            its = get_model_weights(short).DEFAULT.transforms()
            sizes, mode = (its.crop_size[0], its.resize_size[0]), its.interpolation.value
            return model, Preprocessing(*sizes, tuple(its.mean), tuple(its.std), mode, 1000)
        if width and not timm.is_model(short):
            mobilenet_v1 = timm.models.efficientnet._gen_mobilenet_v1
            model = mobilenet_v1("mobilenetv1_100", int(width[1]) / 100, **arguments)
        else:
            model = timm.create_model(short, **arguments)
        its = timm.data.resolve_model_data_config(model)
    except Exception as error:  # the library's, whose arguments are anyone's
        reason = f"{name} cannot be built ({error!r:.120})"
        raise StudyError(f"network: {reason}; accepted: {FORMS}") from error
    sizes = its["input_size"][-1], math.floor(its["input_size"][-1] / its["crop_pct"])
    colours, mode = (its["mean"], its["std"]), its["interpolation"]
    return model, Preprocessing(*sizes, *colours, mode, model.num_classes)


def read_state_dict(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, or of a state dict saved by torch (never unpickled beyond
    tensors). Of a run store's file the last epoch's. Raises StudyError for anything else."""
    try:
        if file.suffix == ".safetensors":
            state = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious file: its format and version decide which
        reason = f"cannot be read without running code in it ({type(error).__name__})"
        raise StudyError(f"weights: {file.name} {reason}; accepted: {FILES}") from error
    values = list(state.values()) if isinstance(state, dict) else []
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        raise StudyError(f"weights: {file.name} holds no plain state dict; accepted: {FILES}")
    epochs = [re.match(r"(\d+)/", key) for key in state]
    if not all(epochs):
        return state
    last = f"{max(int(epoch[1]) for epoch in epochs)}/"
    return {key.removeprefix(last): v for key, v in state.items() if key.startswith(last)}


def load_weights(model: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load a state dict strictly. Raises StudyError with the first key that does not fit."""
    own = model.state_dict()
    for key in own | state:
        if key.endswith("num_batches_tracked"):  # which no output depends on
            continue
        shape, accepted = (tuple(s[key].shape) if key in s else "nothing" for s in (state, own))
        if shape != accepted:
            raise refusal(f"weights: {source} does not fit: {key}", shape, accepted)
    model.load_state_dict(state)


def _load_file(model: nn.Module, weights) -> None:
    path = in_data_folder(str(weights))
    load_weights(model, read_state_dict(path), path.name)


def load_pretrained(name: str, weights: str = "") -> tuple[nn.Module, Preprocessing]:
    """A trained network in eval mode and its preprocessing. name: torchvision:NAME or timm:NAME;
    after commas arguments of its constructor (pad_type=same), values of its preprocessing (size,
    resize, mean, std, interpolation) and weights=FILE. weights: a file, in place of that; relative
    paths start at STUDY_DATA. Without either the library downloads its own. Raises StudyError."""
    library, short, arguments = parse(name)
    named = arguments.pop("weights", "")
    changes = {key: arguments.pop(key) for key in INPUT_KEYS if key in arguments}
    model, preprocessing = architecture(f"{library}:{short}", **arguments)
    preprocessing = preprocessing.changed(**changes)
    if weights or named:
        _load_file(model, weights or named)
    else:
        load_weights(model, _download(library, short), "the download")
    return model.eval(), preprocessing


def _download(library: str, short: str) -> dict[str, torch.Tensor]:
    import timm
    from torchvision.models import get_model_weights

    try:
        if library == "timm":
            return timm.create_model(short, pretrained=True).state_dict()
        default = get_model_weights(short).DEFAULT
        return default.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # every library that downloads has its own
        reason = f"{library}:{short} could not be downloaded ({error!r:.120})"
        raise StudyError(f"weights: {reason}; accepted: a file of weights") from error


def own_network(name: str, dataset, weights: str = "") -> nn.Module:
    """One of the study's own networks for `dataset`, with weights from a file, or untrained."""
    model = families.build(name, dataset.image_shape, dataset.num_classes)
    if weights:
        _load_file(model, weights)
    return model.eval()
