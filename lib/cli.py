"""The command line: study run, measure, list, claims, runs, export, bench."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from lib import profiles
from lib.parameters import ROOT, OutOfTime, StudyError, environment

app = typer.Typer(help="Run and read the study of spectral bias.", no_args_is_help=True, add_completion=False,
                  pretty_exceptions_enable=False)  # fmt: skip
OUTPUT = ROOT / "output"
Profile = Annotated[str, typer.Option("--profile", help="a folder of params/")]


def main() -> None:
    """Entry point: an error of the user's is one line and exit status 2."""
    try:
        app()
    except StudyError as error:
        print(f"study: {error}", file=sys.stderr)
        sys.exit(2)


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
    at_once: Annotated[
        int | None, typer.Option(min=1, help="runs executed at a time; a CPU's cores, one on a GPU")
    ] = None,
) -> None:
    """Execute notebooks under a profile, then collect their claims, figures and runs."""
    from lib import execute, parallel, runs, scoreboard

    names = [profiles.notebook_named(text) for text in notebooks or profiles.notebook_names()]
    resolved = profiles.resolve(names, profile, parameter or [])
    runs.all_runs()
    for name, values in resolved.items():
        profiles.check_world(name, values)
    out = (out or OUTPUT / profile).resolve()
    rounds = [resolved] if time_budget is None else profiles.by_seeds(resolved)
    deadline, failed, stopped = None if time_budget is None else time.time() + 60 * time_budget, [], None
    with environment(STUDY_DEADLINE=deadline, STUDY_AT_ONCE=at_once):
        try:
            for values_of in rounds:
                failed = [name for name, values in values_of.items()
                          if not execute.notebook(profiles.NOTEBOOKS / f"{name}.ipynb", out, values)]  # fmt: skip
                if failed or (parallel.out_of_time() and values_of is not rounds[-1]):
                    break
        except OutOfTime as over:
            stopped = str(over)
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
    for name in profiles.notebook_names():
        print(name)
        for key, parameter in profiles.inspect(name).items():
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
    profiles.read_params(profile, "common")
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
