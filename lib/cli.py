"""The command line: study run, measure, list, claims, runs, export, bench."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from lib.parameters import ROOT, OutOfTime, StudyError, check

app = typer.Typer(help="Run and read the study of spectral bias.", no_args_is_help=True, add_completion=False,
                  pretty_exceptions_enable=False)  # fmt: skip
NOTEBOOKS, PARAMS, OUTPUT = (ROOT / name for name in ("notebooks", "params", "output"))
Profile = Annotated[str, typer.Option("--profile", help="a folder of params/")]


def main() -> None:
    """Entry point: an error of the user's is one line and exit status 2."""
    try:
        app()
    except StudyError as error:
        print(f"study: {error}", file=sys.stderr)
        sys.exit(2)


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
    from lib import augment, data, models, pretrained, training

    effective = {key: parameter["default"] for key, parameter in inspect(name).items()} | values
    training.resolve_device(effective.get("device", "auto"))
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


@app.command()
def run(
    notebooks: Annotated[list[str] | None, typer.Argument(help="names or their first digits; all when none")] = None,
    profile: Profile = "digits",
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value, as in YAML")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for what comes out; output/<profile>")] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="minutes: all notebooks with the first seed, then with the first two, ...; what is finished is kept",
        ),
    ] = None,
) -> None:
    """Execute notebooks under a profile, then collect their claims, figures and runs."""
    from lib import execute, parallel, runs, scoreboard

    names = [_notebook_named(text) for text in notebooks or notebook_names()]
    resolved = resolve(names, profile, parameter or [])
    runs.all_runs()
    for name, values in resolved.items():
        check_world(name, values)
    out = (out or OUTPUT / profile).resolve()
    rounds, failed, stopped = [resolved], [], None
    if time_budget is not None:
        os.environ["STUDY_DEADLINE"] = str(time.time() + 60 * time_budget)
        rounds = by_seeds(resolved)
    try:
        for values_of in rounds:
            failed = [name for name, values in values_of.items()
                      if not execute.notebook(NOTEBOOKS / f"{name}.ipynb", out, values)]  # fmt: skip
            if failed or (parallel.out_of_time() and values_of is not rounds[-1]):
                break
    except OutOfTime as over:
        stopped = str(over)
    finally:
        os.environ.pop("STUDY_DEADLINE", None)
    print(scoreboard.lines(execute.collect(out)))
    if failed:
        print(
            f"study: failed: {', '.join(failed)}; the executed copies in {out.name}/ have the tracebacks",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    if stopped or values_of is not rounds[-1]:
        done = rounds.index(values_of)
        print(f"study: {stopped or 'time budget: over'} (round {done + 1} of {len(rounds)})", file=sys.stderr)


def by_seeds(resolved: dict[str, dict]) -> list[dict[str, dict]]:
    """Rounds of a study in seed-major order: every notebook with its first seed, with its first two, ... with all."""
    seeds = {name: values.get("seeds") or inspect(name).get("seeds", {}).get("default", [0])
             for name, values in resolved.items()}  # fmt: skip
    return [
        {name: values | ({"seeds": seeds[name][:count]} if count < len(seeds[name]) else {})
         for name, values in resolved.items()}
        for count in range(1, max(map(len, seeds.values())) + 1)
    ]  # fmt: skip


def _notebook_named(text: str) -> str:
    stem = Path(text).stem
    matches = [name for name in notebook_names() if name == stem or name.split("_")[0] == stem]
    if len(matches) != 1:
        raise StudyError(f"notebook: got {text!r}; accepted: {', '.join(notebook_names())}")
    return matches[0]


@app.command()
def measure(
    model: Annotated[str, typer.Argument(help="torchvision:NAME, timm:NAME or one of the study's own, mlp-3-128")],
    data: Annotated[str, typer.Option(help="folder:PATH, digits, cifar10, cifar100, svhn or npz:PATH")],
    weights: Annotated[str, typer.Option(help="file: safetensors, or a plain state dict of torch")] = "",
    paths: Annotated[str, typer.Option(help="name: kind of path between two images")] = "linear",
    pairs: Annotated[int | None, typer.Option(help="paths within classes, and as many between")] = None,
    spacing: Annotated[float | None, typer.Option(help="nu: between neighbouring points of a path")] = None,
    cutoff: Annotated[float | None, typer.Option(help="cycles/nu: power at or above it is high-frequency")] = None,
    max_images: Annotated[
        int | None, typer.Option(help="images: the first ones, spread over a folder's classes")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for measure.json and measure.png")] = OUTPUT / "measure",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """Measure the function frequency of a network, anyone's: table, JSON, figure, place among the reference runs."""
    from lib import report

    report.write(model, data, weights=weights, max_images=max_images, out=out, device=device, path=paths,
                 num_pairs=pairs, spacing=spacing, cutoff=cutoff)  # fmt: skip


@app.command("list")
def list_notebooks() -> None:
    """Notebooks and their parameters: type, default and unit."""
    for name in notebook_names():
        print(name)
        for key, parameter in inspect(name).items():
            kind, default = parameter["inferred_type_name"], parameter["default"]
            print(f"  {key:<16} {kind:<12} {default!s:<44} {parameter['unit']}: {parameter['help']}")


@app.command()
def claims(
    profile: Profile = "digits",
    markdown: Annotated[bool, typer.Option(help="all shipped results, as the table in the README")] = False,
) -> None:
    """The scoreboard of a profile: as executed here (output/), else as it came with the study."""
    from lib import scoreboard

    if markdown:
        print(scoreboard.markdown())
        return
    read_params(profile, "common")
    rows = scoreboard.claims_in(OUTPUT / profile) or scoreboard.shipped(profile)
    if not rows:
        raise StudyError(f"no claims of profile {profile} yet; run: study run --profile {profile}")
    print(scoreboard.lines(rows))


@app.command("runs")
def list_runs() -> None:
    """What the run store holds."""
    from lib import runs

    found = runs.all_runs()
    for one in found:
        config, record = one.config, one.record
        named = [name for name in ("dataset", "network", "model", "seed", "wave", "frequency") if name in config]
        parts = " ".join(f"{name}={config[name]}" for name in named)
        print(f"{one.key}  {record['kind']:<16}{record['seconds']:>8.1f} s  {record['device']:<12}  {parts}")
    size = sum(file.stat().st_size for one in found for file in one.path.rglob("*") if file.is_file())
    print(f"{len(found)} runs, {size / 1e6:.1f} MB")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="a store to copy into; STUDY_STORE where the study goes on")],
    weights: Annotated[bool, typer.Option("--weights", help="the networks' weights too")] = False,
) -> None:
    """Copy the runs and measurements of the store, to go on with them on another machine."""
    from lib import runs

    print(f"{runs.export(folder, weights)} runs are in {folder}")


@app.command()
def bench(
    models: Annotated[list[str] | None, typer.Argument(help="networks; resnet8-16, wrn-28-2, wrn-28-10")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    out: Annotated[Path, typer.Option(help="folder for the report and its figure")] = OUTPUT / "bench",
) -> None:
    """How fast networks are measured and trained here, beside an eager loop and the device's limits in the same run."""
    from lib import bench as benchmarks

    benchmarks.report(models or ["resnet8-16", "wrn-28-2", "wrn-28-10"], device, out)
