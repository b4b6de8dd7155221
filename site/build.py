"""Write the site of the executed notebooks: `python site/build.py`, or `make site`."""

import argparse
import shutil
import sys
from pathlib import Path

import executed
import front
import nbformat
from links import Links
from sphinx.cmd.build import main as sphinx

from lib.parameters import ROOT, StudyError
from study.copies import executed_in
from study.profiles import NOTEBOOKS

OUT = ROOT / "output" / "site"
PAGES = {  # a project's file: its page
    "README.md": "index.md",
    "notebooks/README.md": "student.md",
    "notebooks/course.md": "course.md",
    "notebooks/glossary.md": "glossary.md",
    "params/README.md": "profiles.md",
    "results/README.md": "results.md",
    "results/bench/README.md": "bench.md",
    "results/reproduce.md": "reproduce.md",
}


def copies_of() -> dict[str, dict]:
    """The executed copies by profile, then by name: of notebooks/ under digits, and of results/."""
    folders = {"digits": NOTEBOOKS}
    folders |= {file.parent.name: file.parent for file in sorted(ROOT.glob("results/*/*.ipynb"))}
    return {
        profile: {file.stem: copy for file, copy in executed_in(folder) if file.stem[0].isdigit()}
        for profile, folder in folders.items()
    }


def write_pages(out: Path, copies: dict[str, dict]) -> None:
    """What Sphinx reads, in out/source, and what it copies, in out/extra."""
    source, extra = out / "source", out / "extra"
    for folder in (source, extra):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    pages = dict(PAGES)
    for profile, its in copies.items():
        pages |= {f"{profile}/{name}": f"{profile}/{name}.ipynb" for name in its}
        (source / profile).mkdir()
        if (ROOT / "results" / profile / "README.md").is_file():
            pages[f"results/{profile}/README.md"] = f"{profile}.md"
    first = {}
    for its in copies.values():  # the page that a link to a notebook leads to, if not its profile's
        for name in its:
            profile = next(one for one in copies if name in copies[one])
            first[f"notebooks/{name}.ipynb"] = f"{profile}/{name}.ipynb"
    links = Links(pages | first, source, extra)
    for profile, its in copies.items():
        for name, copy in its.items():
            others = [other for other in copies if name in copies[other]]
            notebook = executed.page(name, copy, profile, others, links)
            nbformat.write(notebook, source / profile / f"{name}.ipynb")
    for page, text in front.pages(copies, links).items():
        (source / page).write_text(text, "utf-8")


def build(out: Path = OUT, copies: dict[str, dict] | None = None) -> int:
    """The site in out/html; Sphinx's exit status."""
    write_pages(out, copies or copies_of())
    options = ["-q", "-W", "--keep-going", "-c", str(Path(__file__).parent)]
    options += ["-D", f"html_extra_path={out / 'extra'}", "-d", str(out / "doctrees")]
    shutil.rmtree(out / "html", ignore_errors=True)
    return sphinx([*options, str(out / "source"), str(out / "html")])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for source, extra and html")
    chosen = parser.parse_args()
    try:
        status = build(chosen.out.resolve())
    except StudyError as error:
        sys.exit(f"site: {error}")
    if not status:
        print(f"site: {chosen.out / 'html' / 'index.html'}")
    sys.exit(status)
