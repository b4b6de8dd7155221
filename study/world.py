"""What parameters point to, checked before anything is executed: data, networks, device, work."""

import hashlib
import re

from lib.parameters import refusal, without_folders
from study.profiles import inspect

NAMED_LISTS = ("families", "widths", "networks", "augmentation", "augmentations")
MOST_POINTS = 1e9  # of all paths of one network: hours, on any machine


def fingerprints(notebook: str, given: dict) -> dict[str, str]:
    """The content of what parameters name: of a dataset its fingerprint; of folders, weights and
    one's own code a SHA-256 of their files."""
    from lib import data, doors

    values = _values(notebook, given)
    texts = _names(values, "dataset", "images", "model", "others", *NAMED_LISTS)
    known = {text: doors.source(text) for text in texts if doors.source(text)}
    for name in _names(values, "dataset"):
        known["dataset"] = data.load(name).fingerprint
    for text in texts:
        for named in re.findall(r"(?:folder:|npz:|weights=)([^,+]+)", text):
            digest, place = hashlib.sha256(), data.in_data_folder(named)
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if file.is_file():
                    digest.update(str(file.relative_to(place)).encode() + file.read_bytes())
            known[without_folders(text)] = digest.hexdigest()
    return known


def check_world(notebook: str, given: dict) -> None:
    """Check what parameters of a notebook point to: data, network, device. Raises StudyError."""
    from lib import data, measure, models, runs
    from study import networks

    values = _values(notebook, given)
    runs.resolve_device(values.get("device", "auto"))
    for name in _names(values, "augmentation", "augmentations"):
        data.Pipeline(name)
    images, named = values.get("images"), _names(values, "networks")
    if named and values.get("feature_network", named[0]) not in named:
        raise refusal("feature_network", values["feature_network"], "one of networks")
    if images and len(values.get("top1", named)) != len(named):
        raise refusal("top1", values["top1"], f"{len(named)} values, one a network")
    for name in named if images else ():
        data.load(images, preprocessing=models.load_pretrained(name)[1])
    for of in _names(values, "dataset"):
        dataset = data.load(of, values.get("num_test"))
        if (values.get("num_train") or 1) > len(dataset.x_train):
            raise refusal("num_train", values["num_train"], f"at most {len(dataset.x_train)}")
        own = () if images else ("networks",)
        for name in _names(values, "model", "families", "widths", *own):
            models.build(name, dataset.image_shape, dataset.num_classes)
        for name in _names(values, "others"):
            if name != "none":
                networks.own(name, dataset)
    if {"num_pairs", "spacing", "cutoff"} <= values.keys():
        protocol = measure.Protocol(**measure.Protocol.fields_in(values))
        if "dataset" in values:
            usual = measure.default_protocol(dataset, num_points=64)  # on a path of median length
            check_work(protocol, 2 * protocol.num_pairs * 64 * usual.spacing / protocol.spacing)


def check_work(protocol, points: float) -> None:
    """Raise StudyError where the paths of a protocol have too many points."""
    if points > MOST_POINTS:
        accepted = f"one that makes up to {MOST_POINTS:.0e} points, not {points:.1e}"
        raise refusal("spacing", protocol.spacing, accepted)


def _values(notebook: str, given: dict) -> dict:
    return {key: declared["default"] for key, declared in inspect(notebook).items()} | given


def _names(values: dict, *parameters: str) -> list[str]:
    """What these parameters hold, each a name or a list of names."""
    held = (values.get(parameter, []) for parameter in parameters)
    names = [name for one in held for name in (one if isinstance(one, list) else [one])]
    return [name for name in names if isinstance(name, str)]
