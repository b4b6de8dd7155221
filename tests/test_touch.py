"""Pictures that move by a slider: what is drawn is where the numbers say, every frame is in the
page, and the page needs nothing from elsewhere."""

import json
import re

import nbformat
import numpy as np
import pytest

from lib.parameters import ROOT, StudyError
from notebooks import touch
from notebooks.by_hand import same

X = np.array([0.0, 1.0, 2.0])
FRAMES = np.array([[0.0, 1.0, 2.0], [2.0, np.nan, 0.0]])
TOLD = ["rising", "broken </script>"]


def panel(*curves, **options):
    limits = {"xlim": (0, 2), "ylim": (0, 2), "curves": list(curves)}
    return touch.Panel(**{"title": "title", "xlabel": "x", "ylabel": "y"} | limits | options)


def data_of(page: str) -> dict:
    """What the script of a page is called with."""
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (called,) = re.findall(r"^}\)\((.*)\);$", script, re.MULTILINE)
    return json.loads(called)


def test_every_frame_is_where_its_numbers_are():
    page = touch.slider([panel(touch.Curve(X, FRAMES))], "time", TOLD).data
    left, right, top = touch.LEFT, touch.LEFT + touch.ACROSS, touch.TOP
    bottom, middle = top + touch.DOWN, left + touch.ACROSS // 2
    rising = f"M{left} {bottom}L{middle} {top + touch.DOWN // 2}L{right} {top}"
    data = data_of(page)
    assert data["paths"] == [[rising, f"M{left} {top}M{right} {bottom}"]]
    assert data["told"] == TOLD
    assert page.count('class="moves"') == 1
    assert f'class="moves" d="{rising}"' in page  # the frame that stands where scripts do not run


def test_what_stands_still_is_no_frame():
    still, dots = touch.Curve(X, X, "still"), touch.Curve(X, FRAMES, "dots", style="o")
    page = touch.slider([panel(still, dots)], "time", TOLD).data
    assert len(data_of(page)["paths"]) == 1
    assert data_of(page)["paths"][0][0].count("h0") == 3
    assert page.count("<figcaption>") == 1
    assert all(word in page for word in ("still", "dots"))


def test_a_logarithmic_axis_has_decades_apart_and_no_place_for_zero():
    one = panel(ylim=(0.01, 100), logy=True)
    places = one.top([100, 1, 0.01, 0.0])
    assert places[:3] == pytest.approx([touch.TOP, touch.TOP + touch.DOWN / 2, 510])
    assert np.isnan(places[3])
    ticks = [said for _, said in touch._ticks((0.5, 2), True)]
    assert ticks == ["0.5", "1", "2"]
    assert "0.01" in [said for _, said in touch._ticks((1e-4, 1), True)]


def test_a_heat_map_has_a_cell_each_and_its_rows_by_name():
    heat = {"heat": np.array([[0.0, 1.0]] * 3), "heat_x": [0, 2], "heat_rows": (1, 5, 25)}
    page = touch.slider([panel(touch.Curve(X, FRAMES), ylim=(0.5, 3.5), **heat)], "t", TOLD).data
    assert page.count("<rect") == 6 + 1  # and what the curves are clipped to
    assert ">25</text>" in page


def test_it_can_be_read_out_and_moved_by_keys():
    page = touch.slider([panel(touch.Curve(X, FRAMES))], "time", TOLD, start=1).data
    assert re.search(r'<label>time <input type="range" min="0" max="1" step="1" value="1">', page)
    assert "<output>broken &lt;/script&gt;</output>" in page
    assert 'role="img" aria-label="title: y against x"' in page
    assert '<button type="button">Play</button>' in page


def test_frames_and_words_of_other_numbers_are_refused():
    with pytest.raises(StudyError, match="frames"):
        touch.slider([panel(touch.Curve(X, FRAMES))], "time", ["one"])
    with pytest.raises(StudyError, match="frames"):
        touch.slider([panel(touch.Curve(X, X))], "time", ["one"])


def test_a_page_too_large_is_refused():
    many = touch.Curve(np.arange(2.0e4), np.ones((16, 20000)))
    with pytest.raises(StudyError, match="2 MB"):
        touch.slider([panel(many)], "time", ["frame"] * 16)


@pytest.mark.parametrize("number", ["00", "01", "03"])
def test_the_notebooks_pictures_need_nothing_from_elsewhere(number):
    (file,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = [cell for cell in nbformat.read(file, 4).cells if cell.cell_type == "code"]
    shown = [output.get("data", {}) for cell in cells for output in cell.outputs]
    (page,) = [one["text/html"] for one in shown if 'class="touch"' in one.get("text/html", "")]
    assert len(page.encode()) < touch.MOST_BYTES
    assert re.findall(r"http|src=|@import|fetch\(|import\(", page) == []
    data = data_of(page)
    assert {len(frames) for frames in data["paths"]} == {len(data["told"])}
    assert len(data["told"]) > 3
    before = shown[: [one.get("text/html") for one in shown].index(page)]
    assert any("image/png" in one for one in before)  # for readers where scripts do not run


def test_by_hand_and_by_lib_are_the_same_or_it_is_said(capsys):
    same("a number", 1.0, 1.0 + 1e-9)
    same("numbers", [3.0, -4.0], np.array([3.0, -4.0]))
    assert capsys.readouterr().out.splitlines() == [
        "a number: 1 by hand, 1 by lib; 1e-09 apart",
        "numbers: 2 numbers, largest 4 by hand, 4 by lib; 0e+00 apart",
    ]
    same("a mean over nothing", np.nan, np.nan)
    same("a small number", 2e-7, 1e-7, unit=1)
    for other in (1.001, np.nan, [1.0, 1.0]):
        with pytest.raises(AssertionError):
            same("a number", 1.0, other)
    with pytest.raises(AssertionError):
        same("a small number", 2e-7, 1e-7)


def test_limits_are_around_what_an_axis_can_show():
    assert touch.around([2.0, 8.0, np.nan, 0.0], log=True) == (1.0, 16.0)
    assert touch.around([0.0, 10.0]) == (-1.0, 11.0)
    assert touch.around([np.nan, 0.0], log=True) == (0.5, 2.0)
    assert touch.around([]) == (-0.1, 1.1)
