"""Networks by name, as the command line takes them: of libraries, of the study, of its zoo."""

import re

import torch
from torch import nn

from lib import data, models
from lib.parameters import check, refusal
from lib.plain import from_yaml
from study import zoo


class Renormalized(nn.Module):
    """A network of images normalised by a mean and std of its own (a channel or one for all, of
    images from 0 to 1) as one of images normalised by `dataset`: a nu stays what it is there."""

    def __init__(self, network: nn.Module, dataset: data.Dataset, mean: list, std: list):
        super().__init__()
        white = 255 if dataset.x_test.dtype == torch.uint8 else 1
        mean, std = (white * torch.tensor(values)[:, None, None] for values in (mean, std))
        self.network = network
        self.register_buffer("scale", dataset.std[:, None, None] / std)
        self.register_buffer("shift", (dataset.mean[:, None, None] - mean) / std)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images * self.scale + self.shift)


def _colours(name: str, text: str, channels: int) -> list[float]:
    values = [check(name, from_yaml(name, part), "float") for part in text.split("/")]
    if len(values) not in (1, channels):
        raise refusal(name, text, f"one number, or {channels} as in 0.5/0.4/0.3")
    return [float(value) for value in values]


def own(name: str, dataset: data.Dataset, weights: str = "") -> nn.Module:
    """One of the study's own networks in eval mode, untrained or with weights of a file; after
    commas that file, if it is not given, and the mean and std that it was trained with, if they are
    not the dataset's: resnet-20,mean=0.485/0.456/0.406,std=0.2,weights=FILE. Raises StudyError."""
    short, *options = re.split(",(?=(?:mean|std|weights)=)", name)
    given = dict(option.split("=", 1) for option in options)
    file = given.pop("weights", "")
    network = models.own_network(short, dataset, weights or file)
    if not given:
        return network
    if set(given) != {"mean", "std"}:
        raise refusal("network", name, "both mean and std, or neither")
    channels = dataset.image_shape[0]
    colours = [_colours(key, given[key], channels) for key in ("mean", "std")]
    return Renormalized(network, dataset, *colours).eval()


def named(model: str, dataset: str, weights: str = "", max_images: int | None = None):
    """(network, dataset) by name, photos made ready as the network expects. Raises StudyError."""
    max_images = check("max_images", max_images, "int | None")
    of_zoo = model.startswith(zoo.PREFIX)
    if models.is_external(model) and not of_zoo:
        network, preprocessing = models.load_pretrained(model, weights)
        return network, data.load(dataset, max_images, preprocessing)
    loaded = data.load(dataset, max_images)
    return zoo.network(model, loaded) if of_zoo else own(model, loaded, weights), loaded
