"""The command line: study run, measure, list, claims, runs, export, bench."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from lib.parameters import ROOT, StudyError, environment
from study import profiles

OUTPUT = ROOT / "output"
PLAIN = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
app = typer.Typer(help="Run and read the study of spectral bias.", **PLAIN)
BUDGET = "minutes: notebooks with their first seed, with their first two, ...; what is done is kept"
PHOTOS = "images: the first ones, spread over a folder's classes"
Profile = Annotated[str, Option("--profile", help="a folder of params/")]
Device = Annotated[str, Option(help="auto, cpu or cuda")]


def main() -> None:
    """Entry point: an error of the user's is one line and exit status 2."""
    try:
        app()
    except StudyError as error:
        print(f"study: {error}", file=sys.stderr)
        sys.exit(2)


@app.command()
def run(
    notebooks: Annotated[list[str] | None, Argument(help="names or first digits; or all")] = None,
    profile: Profile = "digits",
    parameter: Annotated[list[str] | None, Option("-p", help="name=value, as in YAML")] = None,
    out: Annotated[Path | None, Option(help="folder for all that; output/<profile>")] = None,
    time_budget: Annotated[float | None, Option(min=0, help=BUDGET)] = None,
    at_once: Annotated[int | None, Option(min=1, help="runs; a CPU's cores, or 1 on a GPU")] = None,
) -> None:
    """Execute notebooks under a profile, then collect their claims, figures and runs."""
    from lib import runs
    from study import execution, results

    names = [profiles.notebook_named(text) for text in notebooks or profiles.notebook_names()]
    resolved = profiles.resolve(names, profile, parameter or [])
    runs.all_runs()  # a damaged one is told of before anything is executed
    for name, values in resolved.items():
        profiles.check_world(name, values)
    out = (out or OUTPUT / profile).resolve()
    rounds = [resolved] if time_budget is None else profiles.by_seeds(resolved)
    deadline = None if time_budget is None else time.time() + 60 * time_budget
    with environment(STUDY_DEADLINE=deadline, STUDY_AT_ONCE=at_once):
        failed, stopped = execution.in_rounds(rounds, out)
    print(results.lines(results.collect(out)))
    if failed:
        copies = f"the executed copies in {out.name}/ have the tracebacks"
        print(f"study: failed: {', '.join(failed)}; {copies}", file=sys.stderr)
        raise typer.Exit(1)
    if stopped:
        print(f"study: {stopped}", file=sys.stderr)


@app.command()
def measure(
    model: Annotated[str, Argument(help="torchvision:NAME, timm:NAME or an own one: mlp-3-128")],
    data: Annotated[str, Option(help="folder:PATH, digits, cifar10, cifar100, svhn or npz:PATH")],
    weights: Annotated[str, Option(help="file: safetensors, or a plain state dict of torch")] = "",
    paths: Annotated[str, Option(help="name: kind of path between two images")] = "linear",
    pairs: Annotated[int | None, Option(help="paths within classes, and as many between")] = None,
    spacing: Annotated[float | None, Option(help="nu: between points of a path")] = None,
    cutoff: Annotated[float | None, Option(help="cycles/nu: from it on power is high")] = None,
    max_images: Annotated[int | None, Option(help=PHOTOS)] = None,
    out: Annotated[Path, Option(help="folder for measure.json and .png")] = OUTPUT / "measure",
    device: Device = "auto",
) -> None:
    """Measure a network's function frequency: page, JSON, its place among the reference runs."""
    from study import report

    own = {"path": paths, "num_pairs": pairs, "spacing": spacing, "cutoff": cutoff}
    report.write(model, data, weights=weights, max_images=max_images, out=out, device=device, **own)


@app.command("list")
def list_notebooks() -> None:
    """Notebooks and their parameters: type, default and unit."""
    for name in profiles.notebook_names():
        print(name)
        for key, its in profiles.inspect(name).items():
            place = f"  {key:<16} {its['type']:<12} {its['default']!s:<44}"
            print(f"{place} {its['unit']}: {its['help']}")


@app.command()
def claims(
    profile: Profile = "digits",
    write: Annotated[bool, Option("--write", help="renew the README files that show it")] = False,
) -> None:
    """The scoreboard of a profile: as executed here (output/), else as it came with the study."""
    from study import results

    if write:
        for file, text in results.pages().items():
            file.write_text(text)
        return
    profiles.lineage(profile)
    rows = results.claims_in(OUTPUT / profile) or results.shipped(profile)
    if not rows:
        raise StudyError(f"no claims of profile {profile} yet; run: study run --profile {profile}")
    print(results.lines(rows))


@app.command("runs")
def list_runs() -> None:
    """What the run store holds."""
    from lib import runs

    present = runs.all_runs()
    for one in present:
        record, fields = one.record, ("dataset", "network", "model", "seed", "wave", "frequency")
        parts = " ".join(f"{name}={one.config[name]}" for name in fields if name in one.config)
        origin = f"{record['kind']:<16}{record['seconds']:>8.1f} s  {record['device']:<12}"
        print(f"{one.key}  {origin}  {parts}")
    files = [file for one in present for file in one.path.rglob("*") if file.is_file()]
    print(f"{len(present)} runs, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


@app.command()
def export(
    folder: Annotated[Path, Argument(help="a store to copy into; STUDY_STORE where it goes on")],
    weights: Annotated[bool, Option("--weights", help="the networks' weights too")] = False,
) -> None:
    """Copy the runs and measurements of the store, to go on with them on another machine."""
    from lib import runs

    print(f"{runs.export(folder, weights)} runs are in {folder}")


@app.command()
def bench(
    models: Annotated[list[str] | None, Argument(help="resnet8-16, wrn-28-2, resnet18")] = None,
    device: Device = "auto",
    out: Annotated[Path, Option(help="folder for the report and its figure")] = OUTPUT / "bench",
) -> None:
    """How fast networks are measured and trained here, beside an eager loop and device limits."""
    sys.path.insert(0, str(ROOT))  # benchmarks/ stands beside lib/, as tests/ does
    from benchmarks import speed

    speed.report(models or ["resnet8-16", "wrn-28-2", "resnet18"], device, out)
