"""Notebooks and their parameters: what a profile sets, checked before anything is executed."""

from pathlib import Path

import yaml

from lib.parameters import ROOT, StudyError, check, refusal

NOTEBOOKS, PARAMS = ROOT / "notebooks", ROOT / "params"


def notebook_names() -> list[str]:
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


def notebook_named(text: str) -> str:
    """The notebook meant by its name or its first digits. Raises StudyError."""
    stem, names = Path(text).stem, notebook_names()
    matches = [name for name in names if stem in (name, name.split("_")[0])]
    if len(matches) != 1:
        raise refusal("notebook", text, ", ".join(names))
    return matches[0]


def inspect(name: str) -> dict[str, dict]:
    """The typed parameters of a notebook by name: type, default (a value), unit and help."""
    import papermill

    declared = papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    for parameter in declared.values():
        parameter["type"] = parameter["inferred_type_name"]
        parameter["default"] = yaml.safe_load(parameter["default"])
        parameter["unit"], _, parameter["help"] = parameter["help"].strip().partition(": ")
    return declared


def profile_names() -> list[str]:
    return sorted(path.name for path in PARAMS.iterdir() if path.is_dir())


def lineage(profile: str) -> list[str]:
    """The profile after those that it builds on, by `extends` in common.yaml. Raises StudyError."""
    line: list[str] = []
    source, name = "profile", profile
    while name is not None:
        if name in line:
            raise refusal(source, name, f"a profile that does not itself extend {line[0]}")
        if name not in profile_names():
            raise refusal(source, name, ", ".join(profile_names()))
        line.insert(0, name)
        source, name = f"{name}/common.yaml: extends", _read(name, "common").get("extends")
    return line


def read_params(profile: str, stem: str) -> dict:
    """What <stem>.yaml sets, key by key over that of the profile it extends. Raises StudyError."""
    values = {key: value for name in lineage(profile) for key, value in _read(name, stem).items()}
    return {key: value for key, value in values.items() if key != "extends"}


def _read(profile: str, stem: str) -> dict:
    file, place = PARAMS / profile / f"{stem}.yaml", f"{profile}/{stem}.yaml"
    values = (_parsed(place, file.read_text()) if file.is_file() else None) or {}
    if not isinstance(values, dict):
        raise refusal(place, values, "lines of name: value")
    if "extends" in values and stem != "common":
        raise refusal(f"{place}: extends", values["extends"], "it in common.yaml only")
    return values


def _parsed(source: str, text: str):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error


def resolve(names: list[str], profile: str, options: list[str]) -> dict[str, dict]:
    """The parameters to inject into each notebook, checked: those of common.yaml and those given as
    name=value go to every notebook that has them; those of a notebook's own YAML must be its own.
    Later wins: common.yaml, <notebook>.yaml, name=value. Raises StudyError."""
    declared = {name: inspect(name) for name in notebook_names()}
    given = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise refusal("-p", option, "name=value")
        is_text = {declared[name].get(key, {}).get("type", "str") for name in names} == {"str"}
        given[key] = text if is_text else _parsed(key, text)
    common = read_params(profile, "common")
    own = {name: read_params(profile, name) for name in names}
    sources = [(f"{profile}/common.yaml", common, declared), ("-p", given, names)]
    sources += [(f"{profile}/{name}.yaml", own[name], [name]) for name in names]
    for source, values, scope in sources:
        known = sorted({key for name in scope for key in declared[name]})
        if unknown := [key for key in values if key not in known]:
            raise refusal(f"{source}: parameter", unknown[0], ", ".join(known))
    resolved = {}
    for name in names:
        values, known = common | own[name] | given, declared[name]
        resolved[name] = {k: check(k, values[k], known[k]["type"]) for k in values if k in known}
    return resolved


def check_world(notebook: str, values: dict) -> None:
    """Check what parameters of a notebook point to: data, network, device. Raises StudyError."""
    from lib import data, measure, models, runs

    values = {key: declared["default"] for key, declared in inspect(notebook).items()} | values
    runs.resolve_device(values.get("device", "auto"))
    for name in _names(values, "augmentation", "augmentations"):
        data.Pipeline(name)
    if {"spacing", "cutoff"} <= values.keys():
        measure.Protocol(**measure.Protocol.fields_in(values))
    images, networks = values.get("images"), values.get("networks", [])
    if networks and values["feature_network"] not in networks:
        raise refusal("feature_network", values["feature_network"], "one of networks")
    if images and len(values["top1"]) != len(networks):
        raise refusal("top1", values["top1"], f"{len(networks)} values, one a network")
    for name in networks if images else ():
        data.load(images, preprocessing=models.load_pretrained(name)[1])
    if "dataset" in values:
        dataset = data.load(values["dataset"], values.get("num_test"))
        if values.get("num_train", 1) > len(dataset.x_train):
            raise refusal("num_train", values["num_train"], f"at most {len(dataset.x_train)}")
        own = () if images else ("networks",)
        for name in _names(values, "model", "families", "widths", *own):
            models.build(name, dataset.image_shape, dataset.num_classes)


def _names(values: dict, *parameters: str) -> list[str]:
    """What these parameters hold, each a name or a list of names."""
    held = (values.get(parameter, []) for parameter in parameters)
    return [name for one in held for name in ([one] if isinstance(one, str) else one)]


def by_seeds(resolved: dict[str, dict]) -> list[dict[str, dict]]:
    """Rounds of a study: every notebook with its first seed, with its first two, ... with all."""
    seeds = {}
    for name, values in resolved.items():
        seeds[name] = values.get("seeds") or inspect(name).get("seeds", {"default": [0]})["default"]
    rounds = [dict(resolved) for _ in range(max(map(len, seeds.values())))]
    for count, round_ in enumerate(rounds, 1):
        fewer = [name for name in resolved if count < len(seeds[name])]
        round_.update({name: resolved[name] | {"seeds": seeds[name][:count]} for name in fewer})
    return rounds
