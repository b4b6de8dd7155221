"""The commands that check what came with the study, and that make a course and figures of it."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from lib.parameters import ROOT, StudyError
from study import places, profiles

FRACTION = "share: of the runs whose measures came with the profile"
EDITIONS = {
    "student": "Notebooks to work in: blanks for solutions, answers, verdicts; hints, no outputs.",
    "instructor": "Notebooks with everything: expected answers, misconceptions, a rubric.",
    "slides": "Slides from cells tagged `slide`: an HTML file a notebook, which needs no network.",
}
Out = Annotated[Path, Argument(help="a folder for them")]
Notebooks = Annotated[list[str] | None, Argument(help="names or first digits; without any, all")]


def verify(
    profile: Annotated[str, Option(help="a folder of results/")] = "digits",
    fraction: Annotated[float, Option(min=0, max=1, help=FRACTION)] = 0.05,
    seed: Annotated[int, Option(min=0, help="seed: of the draw")] = 0,
    device: Annotated[str, Option(help="auto, cpu or cuda")] = "auto",
    zoo: Annotated[bool, Option("--zoo", help="measure its copies in the zoo instead")] = False,
) -> None:
    """Train a sample of the shipped runs again: how far each measure moves, in sd over seeds."""
    from study.verify import verify as train_again

    train_again(profile, fraction, seed, device, zoo)


def zoo(
    profile: Annotated[str, Option(help="a folder of results/, or * for all")] = "*",
    write: Annotated[bool, Option("--write", help="renew the profile's from the store")] = False,
) -> None:
    """The trained networks that came with the study, for `study measure zoo:KEY`."""
    from study import zoo as networks

    if write:
        networks.collect(profile)
    rows = networks.table(profile)
    if rows.empty:
        raise StudyError(f"zoo: no networks came with profile {profile}")
    print(networks.lines(rows))


def reproduce(
    out: Annotated[Path, Option(help="folder: of each setting")] = ROOT / "output" / "reproduce",
    write: Annotated[bool, Option("--write", help="renew results/reproduce.md")] = False,
) -> None:
    """Execute the default study under other threads and instruction sets; what differs."""
    from study import reproduce as settings

    for table in settings.reproduce(out):
        print(table.to_string(index=False))
        if write:
            (ROOT / "results" / "reproduce.md").write_text(settings.page(table))


def figures(
    notebooks: Annotated[list[str] | None, Argument(help="names or first digits; or all")] = None,
    profile: Annotated[str, Option(help="a folder of params/")] = "digits",
    formats: Annotated[str, Option("--format", help="pdf, svg, png, joined by commas")] = "pdf",
    width: Annotated[list[float], Option(help="inches; may be repeated")] = (3.4, 7.0),
    text: Annotated[float, Option(min=4, max=20, help="points: of labels")] = 7.0,
    out: Annotated[Path | None, Option(help="folder; output/<profile>/papers")] = None,
) -> None:
    """Figures for papers: vector formats at a column's width. Needs executed runs; trains none."""
    from study import figures as papers

    names = [profiles.notebook_named(name) for name in notebooks or profiles.notebook_names()]
    folder = out or ROOT / "output" / profiles.output_name(profile) / "papers"
    made = papers.write(names, profile, formats, list(width), text, folder)
    print(f"{made} files of {len(names)} notebooks are in {folder}")


def _edition(name: str, text: str):
    def make(out: Out, notebooks: Notebooks = None) -> None:
        from study import editions

        names = [profiles.notebook_named(one) for one in notebooks or profiles.notebook_names()]
        files = [*map(profiles.notebook_file, names)]
        editions.write(name, names, places.output_folder(ROOT, name, files, [], out))
        print(f"{len(names)} files are in {out}")

    make.__name__, make.__doc__ = name, text
    return make


EDITION_COMMANDS = (_edition(*one) for one in EDITIONS.items())
COMMANDS = (verify, reproduce, zoo, figures, *EDITION_COMMANDS)
