"""Figures of notebooks for papers: at the width of a column, with small text, vector formats with
their fonts in them. A notebook is executed for them from the run store; nothing is trained."""

import functools
import itertools
import math
import tempfile
import textwrap
import warnings
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError

from lib.parameters import OutOfTime, StudyError, environment, refusal
from study import execution, places, profiles

FORMATS = ("pdf", "svg", "png")
PAD = 0.02  # inches: around a figure
USUAL = 12  # points: of text in a notebook
ATTEMPTS = 20
NARROWEST, WIDEST = 2.0, 20.0  # inches
# fonts as TrueType (Type 42), not as Type 3, which publishers refuse; in SVG as curves
EMBEDDED = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "study", "savefig.dpi": 300}


def write(names: list, profile: str, formats: str, widths: list, text: float, out: Path) -> int:
    """Execute notebooks under a profile and save what they show, as NOTEBOOK-NUMBER-WIDTHin.FORMAT
    in the folder out; how many files. formats: of FORMATS, joined by commas; widths: inches; text:
    points. Raises StudyError."""
    chosen = formats.split(",")
    if not set(chosen) <= set(FORMATS):
        raise refusal("format", formats, f"{', '.join(FORMATS)}, joined by commas")
    for width in widths:
        if not NARROWEST <= width <= WIDEST:
            raise refusal("width", width, f"{NARROWEST:g} to {WIDEST:g} inches")
    places.create(out)
    for name, parameters in profiles.resolve(names, profile, []).items():
        source = profiles.notebook_file(name)
        notebook = profiles.opened(source)
        given = (str(out.resolve() / source.stem), chosen, widths, text)
        code = f"from study import figures\nfigures.catch{given}"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(code))
        with tempfile.TemporaryDirectory(prefix="study-") as own, environment(STUDY_DEADLINE=0):
            nbformat.write(notebook, Path(own) / source.name)
            _execute(Path(own) / source.name, parameters, profile)
    made = [out.glob(f"{Path(name).name}-*in.*") for name in names]
    return sum(file.suffix[1:] in chosen for files in made for file in files)


def _execute(place: Path, parameters: dict, profile: str) -> None:
    try:
        execution._papermill(place, place.with_suffix(".executed.ipynb"), parameters)
    except papermill.PapermillExecutionError as error:
        if error.ename == OutOfTime.__name__:
            command = f"study run {place.stem} --profile {profile}"
            raise StudyError(f"{place.stem}: not all of its runs are there; {command}") from None
        raise StudyError(f"{place.stem}: {error.ename}: {error.evalue}") from None
    except DeadKernelError:
        raise StudyError(f"{place.stem}: its kernel was killed (out of memory?)") from None


def catch(stem: str, formats: list[str], widths: list[float], text: float) -> None:
    """In a notebook, before its first cell: save every figure that is shown from now on, as
    stem-<number>-<width>in.<format>, numbered from 1. text: points, of labels."""
    from IPython import get_ipython
    from matplotlib.figure import Figure

    from lib import plots

    styled, numbers = plots.style, itertools.count(1)

    def style() -> None:
        styled()
        usual = plots.sns.plotting_context()
        scale = text / usual["font.size"]
        plots.plt.rcParams.update({name: scale * size for name, size in usual.items()} | EMBEDDED)

    def shown(figure: Figure) -> None:
        number = next(numbers)
        for width, resized in fitted(figure, widths):
            for kind in formats:
                undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
                options = {"bbox_inches": resized, "metadata": undated}
                figure.savefig(f"{stem}-{number}-{width:g}in.{kind}", **options)

    plots.style = style
    plots.plt.figure()  # the notebook's way to show figures is in place from here on
    plots.plt.close()
    get_ipython().display_formatter.formatters["image/png"].for_type(Figure, shown)


def fitted(figure, widths: list[float]):
    """Give a figure each width in turn, with all that stands beside its axes: (width, the part to
    save), inches. Its height shrinks as its text did, so that panels get narrower rather than flat;
    long titles are wrapped, labels of ticks that would overlap left out. Where axes would get
    less than half the width, text gets smaller than asked for."""
    import matplotlib as mpl

    wide, high = figure.get_size_inches()
    pictures = [(one, one.get_zoom()) for one in figure.findobj(mpl.offsetbox.OffsetImage)]
    titles = [(one, None) for one in figure.texts]
    titles += [(one, ax) for ax in figure.axes for one in (ax.title, ax.xaxis.label)]
    titles = [(one, one.get_text(), ax) for one, ax in titles if one.get_text()]
    sizes = [(one, one.get_fontsize()) for one in figure.findobj(mpl.text.Text)]
    for width in widths:
        inner, text = width, 1.0
        high_enough = min(1, max(width / wide, mpl.rcParams["font.size"] / USUAL))
        for picture, zoom in pictures:
            picture.set_zoom(zoom * width / wide)
        for attempt in range(ATTEMPTS):
            for one, size in sizes:
                one.set_fontsize(text * size)
            figure.set_size_inches(inner, high * high_enough)
            part = _laid_out(figure, titles, width)
            beside = part.width + 2 * PAD - width
            if attempt > 2 and -0.02 < beside <= 0.002:
                break
            text *= 0.93 if inner - beside < width / 2 or attempt > ATTEMPTS / 2 else 1
            inner = max(width / 2, inner - beside)
        middle, height = (part.x0 + part.x1) / 2, part.height + 2 * PAD
        bounds = (middle - width / 2, part.y0 - PAD, width, height)
        yield width, mpl.transforms.Bbox.from_bounds(*bounds)


def _laid_out(figure, titles: list, width: float):
    """Lay a figure of this size out anew: the part that holds all of it, inches."""
    for title, text, ax in titles:
        title.set_text(text)
        share = 0.95 if ax is None else 1.15 * ax.get_position().width
        title.set_text(_wrapped(figure, title, text, share * width))
    with warnings.catch_warnings():  # that it does not fit, at the first attempts
        warnings.simplefilter("ignore")
        if type(figure.get_layout_engine()).__name__ != "ConstrainedLayoutEngine":
            figure.tight_layout()
    for ax in figure.axes:
        _thin(ax)
    return figure.get_tightbbox(figure.canvas.get_renderer())


def _wrapped(figure, title, text: str, room: float) -> str:
    """The text of a title, broken into lines that fit into room, inches."""
    taken = title.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi
    if taken <= room:
        return text
    fill = functools.partial(textwrap.fill, break_long_words=False)
    lines = text.split("\n")
    most = max(8, int(0.95 * max(map(len, lines)) * room / taken))
    return "\n".join(fill(line, most) for line in lines)


def _thin(ax) -> None:
    """Hide each label of the x axis that would overlap the one before."""
    end = -math.inf
    for label in (tick.label1 for tick in ax.xaxis.get_major_ticks()):
        label.set_visible(True)
        if label.get_text():
            box = label.get_window_extent()
            label.set_visible(box.x0 > end + 2)
            end = box.x1 if label.get_visible() else end
