"""The command line: study run, measure, list, claims, runs, export, bench; more in `checks`."""

import importlib.metadata
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from lib.parameters import ROOT, StudyError, environment
from study import checks, places, profiles

OUTPUT = ROOT / "output"
PLAIN = {"no_args_is_help": True, "add_completion": False, "pretty_exceptions_enable": False}
app = typer.Typer(**PLAIN)
STOPPED = 130  # the exit status after Ctrl-C
# what is wrong with a command line: an exception of click, of which typer has a copy or not
USAGE = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
BUDGET = "minutes: notebooks with their first seed, with their first two, ...; what is done is kept"
PHOTOS = "images: the first ones, spread over a folder's classes"
Profile = Annotated[str, Option("--profile", help="a folder of params/")]
AT_ONCE = "runs; a CPU's cores, or 1 on a GPU"
ROOM = "folder for all that; output/<profile>, and with -p one beside it"
Device = Annotated[str, Option(help="auto, cpu or cuda")]
Older = Annotated[Literal["anew", "keep"], Option(help="runs that other code made")]


def main() -> None:
    """Entry point: an error of the user's, or of the disk, is one line and exit status 2; a signal
    to end is a Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told = ""
    try:
        status = app(standalone_mode=False) or 0
    except (typer.Abort, KeyboardInterrupt):  # which some versions of typer turn into a status
        status = STOPPED
    except USAGE as error:
        error.show()
        status = error.exit_code
    except StudyError as error:
        status, told = 2, str(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        status, told = 2, f"{place}{error.strerror or error}; finished runs are kept"
    if status == STOPPED:
        told = "stopped; finished runs are kept, the same command goes on"
    if told:
        print(f"study: {told}", file=sys.stderr)
    sys.exit(status)


def _version(asked: bool) -> None:
    if asked:
        print(f"study {importlib.metadata.version('spectral-bias-study')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="say which and end")
    ] = False,
) -> None:
    """Run and read the study of spectral bias."""


@app.command()
def run(
    notebooks: Annotated[list[str] | None, Argument(help="names or first digits; or all")] = None,
    profile: Profile = "digits",
    parameter: Annotated[list[str] | None, Option("-p", help="name=value, as in YAML")] = None,
    out: Annotated[Path | None, Option(help=ROOM)] = None,
    time_budget: Annotated[float | None, Option(min=0, help=BUDGET)] = None,
    at_once: Annotated[int | None, Option(min=1, max=10**4, help=AT_ONCE)] = None,
    older_code: Older = "anew",
) -> None:
    """Execute notebooks under a profile, then collect their claims, figures and runs."""
    from lib import runs
    from study import execution, results, world

    everything = notebooks in (None, [], ["all"])
    names = profiles.notebook_names() if everything else map(profiles.notebook_named, notebooks)
    names = list(dict.fromkeys(names))
    files, given = [profiles.notebook_file(name) for name in names], parameter or []
    out = places.output_folder(OUTPUT, profiles.output_name(profile), files, given, out)
    resolved = profiles.resolve(names, profile, given)
    runs.all_runs()  # a damaged one is told of before anything is executed
    for name, values in resolved.items():
        world.check_world(name, values)
    runs.check_cluster()
    rounds = [resolved] if time_budget is None else profiles.by_seeds(resolved)
    deadline = None if time_budget is None else time.time() + 60 * time_budget
    places.create(out)
    with environment(STUDY_DEADLINE=deadline, STUDY_AT_ONCE=at_once, STUDY_OLDER_CODE=older_code):
        failed, stopped = execution.in_rounds(rounds, out)
    print(results.lines(results.collect(out)))
    print(f"study: notebooks, claims, figures and tables are in {out}", file=sys.stderr)
    if failed:
        print(f"study: failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)
    if stopped:
        print(f"study: {stopped}", file=sys.stderr)


@app.command()
def measure(
    model: Annotated[str, Argument(help="torchvision:NAME, timm:NAME, zoo:KEY or own: mlp-3-128")],
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
    from study import pages, results

    if write:
        pages.write()
        return
    rows = results.claims_in(OUTPUT / profiles.output_name(profile)) or results.shipped(profile)
    if not rows:
        raise StudyError(f"no claims of profile {profile} yet; run: study run --profile {profile}")
    print(results.lines(rows))


@app.command("runs")
def list_runs(as_json: Annotated[bool, Option("--json", help="as records")] = False) -> None:
    """What the run store holds."""
    from lib import runs
    from study import results

    present = runs.all_runs()
    if as_json:
        print(json.dumps([{"key": one.key} | one.record for one in present], indent=1))
        return
    print(results.store_lines(present))


@app.command()
def export(
    folder: Annotated[Path, Argument(help="a store to copy into; STUDY_STORE where it goes on")],
    weights: Annotated[bool, Option("--weights", help="the networks' weights too")] = False,
) -> None:
    """Copy the runs and measurements of the store, to go on with them on another machine."""
    from study import export as exporting

    print(f"{exporting.export(folder, weights)} runs are in {folder}")


@app.command()
def bench(
    models: Annotated[list[str] | None, Argument(help="resnet8-16, wrn-28-2, resnet18")] = None,
    device: Device = "auto",
    out: Annotated[Path, Option(help="folder for the report and its figure")] = OUTPUT / "bench",
) -> None:
    """How fast networks are measured and trained here, beside an eager loop and device limits."""
    sys.path.insert(0, str(ROOT))  # benchmarks/ stands beside lib/, as tests/ does
    from benchmarks import speed

    places.create(out)
    speed.report(models or ["resnet8-16", "wrn-28-2", "resnet18"], device, out)


for more in checks.COMMANDS:
    app.command()(more)
