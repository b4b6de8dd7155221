"""Sliders of a kernel: what is shown follows what is chosen; nothing stands where none listens."""

import ipywidgets
import numpy as np
import pytest
from IPython.display import HTML

from notebooks import live, touch

X = np.array([0.0, 1.0, 2.0])


def draw(slope, sign):
    y = (1 if sign == "rising" else -1) * slope * X
    return [touch.Panel("A line", "x", "y", (0, 2), (-2, 2), [touch.Curve(X, y)])]


@pytest.fixture
def listens(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a notebook")


def test_a_sentence_where_no_front_end_listens(monkeypatch):
    for name in live.LISTENERS:
        monkeypatch.delenv(name, raising=False)
    shown = live.live(draw, slope=[0.0, 0.5, 1.0], sign=["rising", "falling"])
    assert isinstance(shown, HTML)
    assert live.NOBODY in shown.data


def test_the_picture_is_of_what_is_chosen(listens):
    slope, sign, picture = live.live(
        draw, slope=[0.0, 0.5, 1.0], sign=["rising", "falling"]
    ).children
    assert isinstance(slope, ipywidgets.SelectionSlider)
    assert isinstance(sign, ipywidgets.Dropdown)
    assert (slope.value, sign.value) == (0.5, "rising")
    left, right, middle = touch.LEFT, touch.LEFT + touch.ACROSS, touch.TOP + touch.DOWN / 2
    begins, quarter = f'd="M{left} {middle:.0f}', touch.DOWN / 4
    assert begins in picture.value
    assert f'L{right} {middle - quarter:.0f}"' in picture.value
    sign.value = "falling"
    assert f'L{right} {middle + quarter:.0f}"' in picture.value
    slope.value = 1.0
    assert f'L{right} {touch.TOP + touch.DOWN}"' in picture.value
    slope.value = 0.0
    assert f'L{right} {middle:.0f}"' in picture.value


def test_a_picture_of_a_kernel_has_no_script(listens):
    *_, picture = live.live(draw, slope=[1.0], sign=["rising"]).children
    assert "<script" not in picture.value
    assert picture.value.count("<figure>") == 1
