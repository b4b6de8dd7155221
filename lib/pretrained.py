"""Networks that someone else trained, by name or with weights from a file, and what they expect of an image."""

import math
import re
from pathlib import Path

import torch
import yaml

from lib import models
from lib.images import Preprocessing
from lib.parameters import StudyError, folder

FORMS = "torchvision:NAME, timm:NAME, each with ,KEY=VALUE as often as needed"
INPUT_KEYS = ("size", "resize", "mean", "std", "interpolation")


def parse(name: str) -> tuple[str, str, dict]:
    """(library, architecture, arguments) of a name such as timm:mobilenetv2_100,pad_type=same,std=0.5."""
    library, _, rest = name.partition(":")
    architecture, *options = rest.split(",")
    if library not in ("torchvision", "timm") or not architecture:
        raise StudyError(f"network: got {name!r}; accepted: {FORMS}")
    pairs = [option.partition("=") for option in options]
    if not all(key.isidentifier() and value for key, _, value in pairs):
        raise StudyError(f"network: got {name!r}; accepted: {FORMS}")
    return library, architecture, {key: yaml.safe_load(value) for key, _, value in pairs}


def architecture(name: str, **arguments) -> tuple[torch.nn.Module, Preprocessing]:
    """The untrained network called torchvision:NAME or timm:NAME, built with `arguments`, and its preprocessing.

    timm:mobilenetv1_WWW at other widths than timm lists (WWW hundredths of the full one) comes from timm's
    generator of that family. Raises StudyError when the library has no such network or refuses an argument.
    """
    library, short, _ = parse(name)
    try:
        return (_torchvision if library == "torchvision" else _timm)(short, arguments)
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise StudyError(f"network: {name} cannot be built ({_first_line(error)}); accepted: {FORMS}") from error


def _torchvision(short: str, arguments: dict):
    import torchvision.models

    model = torchvision.models.get_model(short, weights=None, **arguments)
    expected = torchvision.models.get_model_weights(short).DEFAULT.transforms()
    return model, Preprocessing(expected.crop_size[0], expected.resize_size[0], tuple(expected.mean),
                                tuple(expected.std), expected.interpolation.value, 1000)  # fmt: skip


def _timm(short: str, arguments: dict):
    import timm
    import timm.models.efficientnet as efficientnet

    narrow = re.fullmatch(r"mobilenetv1_(\d\d\d)", short)
    if narrow and not timm.is_model(short):
        model = efficientnet._gen_mobilenet_v1("mobilenetv1_100", int(narrow[1]) / 100, pretrained=False, **arguments)
    else:
        model = timm.create_model(short, **arguments)
    expected = timm.data.resolve_model_data_config(model)
    size = expected["input_size"][-1]
    return model, Preprocessing(size, math.floor(size / expected["crop_pct"]), expected["mean"], expected["std"],
                                expected["interpolation"], model.num_classes)  # fmt: skip


def read_state_dict(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, or of a state dict saved by torch (never unpickled beyond tensors).

    Of a run store's file the last epoch's. Raises StudyError for anything else.
    """
    if not file.is_file():
        raise StudyError(f"weights: {file.name} is not a file (relative paths start at the folder STUDY_DATA or data/)")
    try:
        if file.suffix == ".safetensors":
            import safetensors.torch

            state = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or malicious file raises differs between formats and versions
        raise StudyError(f"weights: {file.name} cannot be read without running code in it ({type(error).__name__}); "
                         "accepted: safetensors, or a plain state dict") from error  # fmt: skip
    if not isinstance(state, dict) or not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise StudyError(f"weights: {file.name} holds no plain state dict; accepted: names with tensors")
    if all(re.match(r"\d+/", key) for key in state):
        last = max(int(key.partition("/")[0]) for key in state)
        state = {key.partition("/")[2]: value for key, value in state.items() if key.startswith(f"{last}/")}
    return state


def load_weights(model: torch.nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load a state dict strictly. Raises StudyError that names the first key that is missing, unknown or of
    another shape."""
    own = model.state_dict()
    for key in [*own, *(key for key in state if key not in own)]:
        found, wanted = (tuple(s[key].shape) if key in s else "nothing" for s in (state, own))
        if found != wanted:
            raise StudyError(f"weights: {source} does not fit: {key} is {found}; accepted: {wanted}")
    model.load_state_dict(state)


def load(name: str, weights: str = "") -> tuple[torch.nn.Module, Preprocessing]:
    """A trained network in eval mode and the preprocessing of its own configuration.

    name: torchvision:NAME or timm:NAME; after commas arguments of its constructor (pad_type=same), values of its
    preprocessing (size, resize, mean, std, interpolation) and weights=FILE. weights: a file, in place of that; a
    relative path starts at the folder STUDY_DATA. Without either the library downloads its own. Raises StudyError.
    """
    library, short, arguments = parse(name)
    file = weights or arguments.pop("weights", "")
    arguments.pop("weights", None)
    changes = {key: arguments.pop(key) for key in INPUT_KEYS if key in arguments}
    model, preprocessing = architecture(f"{library}:{short}", **arguments)
    if file:
        path = folder("STUDY_DATA", "data") / Path(str(file)).expanduser()
        load_weights(model, read_state_dict(path), path.name)
    else:
        load_weights(model, _download(library, short), "the download")
    return model.eval(), preprocessing.changed(**changes)


def _download(library: str, short: str) -> dict[str, torch.Tensor]:
    try:
        if library == "torchvision":
            import torchvision.models

            default = torchvision.models.get_model_weights(short).DEFAULT
            return default.get_state_dict(progress=False, check_hash=True, weights_only=True)
        import timm

        return timm.create_model(short, pretrained=True).state_dict()
    except Exception as error:  # every library that downloads has its own
        raise StudyError(f"weights: {library}:{short} could not be downloaded ({_first_line(error)}); "
                         "accepted: a file of weights") from error  # fmt: skip


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def is_external(name: str) -> bool:
    """Whether `name` is that of a library's network, not one of the study's own."""
    return ":" in name


def network(name: str, dataset, weights: str = "") -> torch.nn.Module:
    """One of the study's own networks for `dataset`, with weights from a file, or untrained."""
    model = models.build(name, dataset.image_shape, dataset.num_classes)
    if weights:
        path = folder("STUDY_DATA", "data") / Path(weights).expanduser()
        load_weights(model, read_state_dict(path), path.name)
    return model.eval()
