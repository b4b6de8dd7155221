"""Figures for papers: exact widths, embedded TrueType fonts, nothing cut off, nothing trained."""

import itertools
import re
import struct

import matplotlib.pyplot as plt
import nbformat
import pytest

from study import figures

CODE = """
from lib import plots
plots.style()
figure, axes = plots.plt.subplots(1, 2, figsize=(11, 4))
for ax in axes:
    ax.plot([0.1, 1], [0, 1], label="a label beside the axes")
    ax.set(title="A title of a panel that is far too long for a column", xlabel="epoch")
    ax.set_xticks([0.2, 0.4, 0.5, 0.6, 0.7, 0.8], ["a long label"] * 6)
ax.legend(**plots.BESIDE)
figure.tight_layout()
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook with parameters and one figure of two panels; its path."""
    cells = [
        nbformat.v4.new_code_cell("seed: int = 0", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(CODE.strip()),
    ]
    file = tmp_path / "drawn.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), file)
    return file


def test_files_have_the_width_and_their_fonts(study, notebook, tmp_path):
    options = ("--format", "pdf,svg,png", "--width", 3.4, "--width", 7, "--out", tmp_path / "out")
    status, out, err = study("figures", notebook, *options)
    assert status == 0, err
    assert "6 files of 1 notebooks" in out
    for width in (3.4, 7):
        stem = tmp_path / "out" / f"drawn-1-{width:g}in"
        pdf = stem.with_name(f"{stem.name}.pdf").read_bytes()
        (box,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) [\d.]+ \]", pdf)
        assert float(box) == pytest.approx(72 * width, abs=0.01)
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        svg = stem.with_name(f"{stem.name}.svg").read_text()
        assert float(re.search(r'<svg [^>]*?width="([\d.]+)pt"', svg)[1]) == pytest.approx(
            72 * width, abs=0.01
        )
        assert "<text" not in svg
        png = stem.with_name(f"{stem.name}.png").read_bytes()
        assert struct.unpack(">I", png[16:20])[0] == pytest.approx(300 * width, abs=1)


@pytest.mark.parametrize("width", [3.4, 7.0])
def test_nothing_is_cut_off_and_labels_stay_apart(width):
    with plt.rc_context():
        namespace = {}
        exec(CODE, namespace)
        figure = namespace["figure"]
        plt.rcParams["font.size"] = 7
        ((_, part),) = figures.fitted(figure, [width])
        drawn = figure.get_tightbbox(figure.canvas.get_renderer())
        assert part.width == pytest.approx(width)
        assert part.x0 <= drawn.x0 < drawn.x1 <= part.x1
        assert part.y0 <= drawn.y0 < drawn.y1 <= part.y1
        for ax in figure.axes:
            shown = [label for label in ax.get_xticklabels() if label.get_visible()]
            boxes = [label.get_window_extent() for label in shown]
            assert all(one.x1 < two.x0 for one, two in itertools.pairwise(boxes))
    plt.close(figure)


def test_nothing_is_trained(study, store, tmp_path):
    status, _, err = study("figures", "02", "--out", tmp_path)
    assert status == 2
    assert err.splitlines()[-1] == (
        "study: 02_noise_fitting: not all of its runs are there; "
        "study run 02_noise_fitting --profile digits"
    )
    assert not any(store.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--format", "eps"), "format: got 'eps'"),
        (("--width", 0.5), "width: got 0.5"),
        (("--profile", "none"), "profile: got 'none'"),
    ],
)
def test_errors_are_one_line(study, tmp_path, options, told):
    status, _, err = study("figures", "02", *options, "--out", tmp_path)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert told in err
