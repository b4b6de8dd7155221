"""Notebooks and their parameters: what a profile sets, checked before anything is executed."""

import ast
import functools
import os
import re
from pathlib import Path

from lib.parameters import ROOT, StudyError, check, refusal
from lib.plain import from_yaml

NOTEBOOKS, PARAMS = ROOT / "notebooks", ROOT / "params"


def notebook_names() -> list[str]:
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


def notebook_named(text: str) -> str:
    """The notebook meant by its name or its number; of one anywhere, by its path, the absolute path
    without .ipynb. Raises StudyError."""
    names, path = notebook_names(), Path(text)
    if path.suffix == ".ipynb" and os.path.isfile(path):
        its = path.resolve().with_suffix("")
        return its.name if its.parent == NOTEBOOKS else str(its)
    matches = [name for name in names if text in (name, f"{name}.ipynb")]
    matches += [name for name in names if text and name.split("_")[0] in (text, text.zfill(2))]
    if len(matches) != 1:
        raise refusal("notebook", text, f"a path of an .ipynb, or {', '.join(names)}")
    return matches[0]


def notebook_file(name: str) -> Path:
    """The file of a notebook of `notebook_named`."""
    return NOTEBOOKS / f"{name}.ipynb"


def inspect(name: str) -> dict[str, dict]:
    """The typed parameters of a notebook by name: type, default (a value), unit and help. Raises
    StudyError."""
    file = notebook_file(name)
    return _inspected(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _inspected(file: Path, _changed: int) -> dict[str, dict]:
    import papermill

    notebook = opened(file)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    declared = papermill.inspect_notebook(notebook)
    for parameter in declared.values():
        parameter["type"] = parameter["inferred_type_name"]
        parameter["default"] = _literal(parameter["default"])
        parameter["unit"], _, parameter["help"] = parameter["help"].strip().partition(": ")
    return declared


def opened(file: Path):
    """The notebook in a file. Raises StudyError when it holds none."""
    import nbformat

    try:
        return nbformat.read(file, 4)
    except Exception as error:  # the file is anyone's: JSON, encoding, schema
        raise StudyError(f"notebook: {file} cannot be read ({type(error).__name__})") from error


def without_fields(file: Path) -> str:
    """A path for papermill, which takes what stands in braces for a parameter."""
    return re.sub(r"[{}]", r"\g<0>\g<0>", str(file))


def _literal(source: str):
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):  # a formula
        return source


def profile_names() -> list[str]:
    return sorted(path.name for path in PARAMS.iterdir() if path.is_dir())


def output_name(profile: str) -> str:
    """What the results of a profile are called: its name, or that of its folder. Raises
    StudyError."""
    lineage(profile)
    name = Path(profile).resolve().name
    if profile != name and name in profile_names():
        raise refusal("profile", profile, "a folder of another name than the study's own profiles")
    return name


def lineage(profile: str) -> list[str]:
    """The profile after those that it builds on, by `extends` in common.yaml: names of params/, the
    first also a folder that has a common.yaml. Raises StudyError."""
    line: list[str] = []
    source, name = "profile", profile
    while name is not None:
        name = check(source, name, "str")
        if name in line:
            raise refusal(source, name, f"a profile that does not itself extend {line[0]}")
        own = "/" in name and os.path.isfile(_file(name, "common"))
        if name not in profile_names() and not own:
            accepted = f"{', '.join(profile_names())}, or a folder with a common.yaml, as PATH/NAME"
            raise refusal(source, name, accepted)
        line.insert(0, name)
        source, name = f"{name}/common.yaml: extends", _read(name, "common").get("extends")
    return line


def read_params(profile: str, stem: str) -> dict:
    """What <stem>.yaml sets, key by key over that of the profile it extends. Raises StudyError."""
    values = {key: value for name in lineage(profile) for key, value in _read(name, stem).items()}
    return {key: value for key, value in values.items() if key != "extends"}


def _file(profile: str, stem: str) -> Path:
    folder = Path(profile).resolve() if "/" in profile else PARAMS / profile
    return folder / f"{Path(stem).name}.yaml"


def _read(profile: str, stem: str) -> dict:
    file = _file(profile, stem)
    place = f"{file.parent.name}/{file.name}"
    try:
        text = file.read_text("utf-8") if os.path.isfile(file) else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{place}: cannot be read as UTF-8 ({type(error).__name__})") from error
    values = from_yaml(place, text)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise refusal(place, values, "lines of name: value")
    if "extends" in values and stem != "common":
        raise refusal(f"{place}: extends", values["extends"], "it in common.yaml only")
    return values


def resolve(names: list[str], profile: str, options: list[str]) -> dict[str, dict]:
    """The parameters to inject into each notebook, checked: those of common.yaml and those given as
    name=value go to every notebook that has them; those of a notebook's own YAML must be its own.
    Later wins: common.yaml, <notebook>.yaml, name=value. Raises StudyError."""
    declared = {name: inspect(name) for name in {*notebook_names(), *names}}
    given = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise refusal("-p", option, "name=value")
        is_text = {declared[name].get(key, {}).get("type", "str") for name in names} == {"str"}
        given[key] = text if is_text else from_yaml(key, text)
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


def by_seeds(resolved: dict[str, dict]) -> list[dict[str, dict]]:
    """Rounds of a study: every notebook with its first seed, with its first two, ... with all."""
    seeds = {}
    for name, values in resolved.items():
        its = values.get("seeds") or inspect(name).get("seeds", {"default": 0})["default"]
        seeds[name] = its if isinstance(its, list) else [its]
    rounds = [dict(resolved) for _ in range(max(map(len, seeds.values())))]
    for count, round_ in enumerate(rounds, 1):
        fewer = [name for name in resolved if count < len(seeds[name])]
        round_.update({name: resolved[name] | {"seeds": seeds[name][:count]} for name in fewer})
    return rounds
