"""Notebooks and their parameters: what a profile sets, checked before anything is executed."""

from pathlib import Path

import yaml

from lib.parallel import resolve_device
from lib.parameters import ROOT, StudyError, check

NOTEBOOKS, PARAMS = ROOT / "notebooks", ROOT / "params"


def notebook_names() -> list[str]:
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


def inspect(name: str) -> dict[str, dict]:
    """The typed parameters of a notebook by name: type, default (a value), unit and help, read by papermill."""
    import papermill

    found = papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    for parameter in found.values():
        parameter["default"] = yaml.safe_load(parameter["default"].replace("True", "true").replace("False", "false"))
        parameter["unit"], _, parameter["help"] = parameter["help"].strip().partition(": ")
    return found


def read_params(profile: str, stem: str) -> dict:
    """What params/<profile>/<stem>.yaml sets, {} if there is no such file. Raises StudyError."""
    folder = PARAMS / profile
    if not profile or not folder.is_dir():
        raise StudyError(f"profile: got {profile!r}; accepted: {', '.join(sorted(p.name for p in PARAMS.iterdir()))}")
    file = folder / f"{stem}.yaml"
    try:
        values = (yaml.safe_load(file.read_text()) if file.is_file() else None) or {}
    except yaml.YAMLError as error:
        raise StudyError(f"{profile}/{file.name}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise StudyError(f"{profile}/{file.name}: got {values!r}; accepted: lines of name: value")
    return values


def resolve(names: list[str], profile: str, options: list[str]) -> dict[str, dict]:
    """The parameters to inject into each notebook, all of them checked; nothing has been executed yet.

    Those of common.yaml and those given as name=value go to every notebook that has them; those of a
    notebook's own YAML must be its own. Later ones win: common.yaml, <notebook>.yaml, name=value.
    """
    declared = {name: inspect(name) for name in notebook_names()}
    given = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise StudyError(f"-p: got {option!r}; accepted: name=value")
        kinds = {declared[name][key]["inferred_type_name"] for name in names if key in declared[name]}
        given[key] = text if kinds == {"str"} else _parse_value(key, text)
    common = read_params(profile, "common")
    for source, values, scope in ((f"{profile}/common.yaml", common, declared), ("-p", given, names)):
        known = sorted({key for name in scope for key in declared[name]})
        for key in values:
            if key not in known:
                raise StudyError(f"{source}: parameter {key!r} is unknown; accepted: {', '.join(known)}")
    resolved = {}
    for name in names:
        own, parameters = read_params(profile, name), declared[name]
        for key in own:
            if key not in parameters:
                raise StudyError(
                    f"{profile}/{name}.yaml: parameter {key!r} is unknown; accepted: {', '.join(parameters)}"
                )
        values = {key: value for key, value in {**common, **own, **given}.items() if key in parameters}
        resolved[name] = {
            key: check(key, value, parameters[key]["inferred_type_name"]) for key, value in values.items()
        }
    return resolved


def _parse_value(key: str, text: str):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"{key}: got {text!r}; accepted: a YAML value such as 3, 0.1 or [0, 1]") from error


def check_world(name: str, values: dict) -> None:
    """Check what a notebook's parameters point to: data, network, device. Raises StudyError."""
    from lib import augment, data, models, pretrained

    effective = {key: parameter["default"] for key, parameter in inspect(name).items()} | values
    resolve_device(effective.get("device", "auto"))
    for name in _all_of(effective, "augmentation"):
        augment.Pipeline(name)
    if effective.get("images"):
        if len(effective["top1"]) != len(effective["networks"]):
            raise StudyError(f"top1: got {len(effective['top1'])} values; accepted: one a network")
        if effective["feature_network"] not in effective["networks"]:
            raise StudyError(f"feature_network: got {effective['feature_network']!r}; accepted: one of networks")
        for name in effective["networks"]:
            data.load(effective["images"], preprocessing=pretrained.load(name)[1])
    if "dataset" in effective:
        dataset = data.load(effective["dataset"], effective.get("num_test"))
        if effective.get("num_train", 1) > len(dataset.x_train):
            raise StudyError(f"num_train: got {effective['num_train']}; accepted: at most {len(dataset.x_train)}")
        for name in (*_all_of(effective, "model"), *effective.get("families", []), *effective.get("widths", [])):
            models.build(name, dataset.image_shape, dataset.num_classes)


def _all_of(values: dict, name: str) -> list:
    """The value of parameter `name` and the entries of its plural."""
    single = [values[name]] if name in values else []
    return single + values.get(f"{name}s", [])


def by_seeds(resolved: dict[str, dict]) -> list[dict[str, dict]]:
    """Rounds of a study in seed-major order: every notebook with its first seed, with its first two, ... with all."""
    seeds = {name: values.get("seeds") or inspect(name).get("seeds", {}).get("default", [0])
             for name, values in resolved.items()}  # fmt: skip
    return [
        {name: values | ({"seeds": seeds[name][:count]} if count < len(seeds[name]) else {})
         for name, values in resolved.items()}
        for count in range(1, max(map(len, seeds.values())) + 1)
    ]  # fmt: skip


def notebook_named(text: str) -> str:
    """The notebook meant by its name or its first digits. Raises StudyError."""
    stem = Path(text).stem
    matches = [name for name in notebook_names() if name == stem or name.split("_")[0] == stem]
    if len(matches) != 1:
        raise StudyError(f"notebook: got {text!r}; accepted: {', '.join(notebook_names())}")
    return matches[0]
