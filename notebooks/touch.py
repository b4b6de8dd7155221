"""Pictures that move by a slider, without a kernel: panels of curves as SVG, and every frame of
those curves that move computed beforehand, so that a few lines of JavaScript only exchange them.
Nothing is fetched. Where scripts do not run, one frame stands still."""

import html
import json
import math
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from IPython.display import HTML
from matplotlib import colormaps, colors, ticker

from lib.parameters import StudyError, refusal

WIDTH, HEIGHT = 840, 620  # of a panel in its own units, two a pixel of a page
LEFT, TOP, ACROSS, DOWN = 130, 60, 680, 450  # where its curves are
DASHES = {"-": "", "--": "18 12", ":": "4 9", "o": ""}
MOST_BYTES = 2_000_000
NO_SCRIPTS = "Where scripts run a slider moves this picture; elsewhere the figure above shows it."
STYLE, SCRIPT = (Path(__file__).with_suffix(kind).read_text().strip() for kind in (".css", ".js"))


@dataclass
class Curve:
    """x, y: (points,), or of what moves (frames, points) one of them or both; NaN leaves a gap.
    style: - -- : or o."""

    x: np.ndarray
    y: np.ndarray
    label: str = ""
    colour: str = "C0"
    style: str = "-"

    def frames(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """x and y of every frame; of a curve that stands still, of one."""
        pair = np.broadcast_arrays(np.asarray(self.x, float), np.asarray(self.y, float))
        return list(zip(*map(np.atleast_2d, pair), strict=True))

    def moves(self) -> bool:
        return max(np.ndim(self.x), np.ndim(self.y)) == 2


@dataclass
class Panel:
    """Axes and their curves. heat: a map behind them, (rows, columns), 0 to 1: a row at 1, 2, ...
    of y, labelled by the numbers `heat_rows`; a column at each of `heat_x`, which rises."""

    title: str
    xlabel: str
    ylabel: str
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    curves: list[Curve]
    logx: bool = False
    logy: bool = False
    heat: np.ndarray | None = None
    heat_x: np.ndarray | None = None
    heat_rows: tuple[float, ...] = ()

    def left(self, x) -> np.ndarray:
        return LEFT + ACROSS * _share(x, self.xlim, self.logx)

    def top(self, y) -> np.ndarray:
        return TOP + DOWN * (1 - _share(y, self.ylim, self.logy))

    def path(self, curve: Curve, x, y) -> str:
        """The `d` of an SVG path: a line, or dots, which are lines of no length."""
        told, pen = [], "M"
        for place in zip(self.left(x), self.top(y), strict=True):
            if any(map(math.isnan, place)):
                pen = "M"
                continue
            told.append(f"{pen}{place[0]:.0f} {place[1]:.0f}" + "h0" * (curve.style == "o"))
            pen = "M" if curve.style == "o" else "L"
        return "".join(told)


def _share(values, limits: tuple[float, float], log: bool) -> np.ndarray:
    """How far along an axis, 0 to 1; a tenth beyond, at most. NaN on a log axis of 0 and less."""
    values, ends = np.asarray(values, float), np.asarray(limits, float)
    if log:
        values, ends = (np.log(np.where(one > 0, one, np.nan)) for one in (values, ends))
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), -0.1, 1.1)


def around(values, log: bool = False) -> tuple[float, float]:
    """Limits of an axis that hold all values it can show: finite ones, and, log, above 0."""
    shown = np.asarray(values, float).ravel()
    shown = shown[np.isfinite(shown) & (~np.bool_(log) | (shown > 0))]
    low, high = (shown.min(), shown.max()) if len(shown) else (float(log), 1.0)
    low, high = (low / 2, high * 2) if log else (low - (high - low) / 10, high + (high - low) / 10)
    return float(low), float(high)


def _ticks(limits: tuple[float, float], log: bool) -> list[tuple[float, str]]:
    """Places and their labels: whole decades, or, of an axis of about one, 1, 2 and 5."""
    if log:
        steps = (1.0,) if max(limits) > 30 * min(limits) else (1.0, 2.0, 5.0)
        locator = ticker.LogLocator(subs=steps, numticks=6)
    else:
        locator = ticker.MaxNLocator(5, steps=[1, 2, 5, 10])
    values = locator.tick_values(*limits)
    inside = np.abs(_share(values, limits, log) - 0.5) < 0.5 + 1e-6
    return [(value, f"{value:g}") for value in values[inside]]


def _text(x: float, y: float, words: str, anchor="middle", turned=False) -> str:
    turn = f' transform="rotate(-90 {x:.0f} {y:.0f})"' * turned
    words = html.escape(words)
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{turn}>{words}</text>'


def _axes(panel: Panel) -> str:
    bottom, parts = TOP + DOWN, [_text(LEFT + ACROSS / 2, 36, panel.title)]
    parts.append(_text(LEFT + ACROSS / 2, bottom + 84, panel.xlabel))
    parts.append(_text(28, TOP + DOWN / 2, panel.ylabel, turned=True))
    grid = 'stroke="#ddd" stroke-width="2"'
    for value, said in _ticks(panel.xlim, panel.logx):
        x = panel.left(value)
        parts.append(f'<path d="M{x:.0f} {TOP}V{bottom}" {grid}/>')
        parts.append(_text(x, bottom + 38, said))
    rows = [(number, f"{row:g}") for number, row in enumerate(panel.heat_rows, 1)]
    for value, said in rows or _ticks(panel.ylim, panel.logy):
        y = panel.top(value)
        parts.append(f'<path d="M{LEFT} {y:.0f}H{LEFT + ACROSS}" {grid}/>')
        parts.append(_text(LEFT - 12, y + 8, said, "end"))
    return "".join(parts)


def _heat(panel: Panel) -> str:
    """Rectangles, in 32 shades: of each column from halfway to the one before to halfway on."""
    if panel.heat is None:
        return ""
    places = panel.left(panel.heat_x)
    edges = np.concatenate([places[:1], (places[1:] + places[:-1]) / 2, places[-1:]])
    shades = [colors.to_hex(colormaps["viridis"](shade / 31)) for shade in range(32)]
    parts = []
    for row, values in enumerate(np.clip(np.nan_to_num(panel.heat), 0, 1), 1):
        top, bottom = panel.top(row + 0.5), panel.top(row - 0.5)
        for value, left, right in zip(values, edges, edges[1:], strict=False):
            size = f'width="{right - left + 0.6:.1f}" height="{bottom - top + 0.6:.1f}"'
            shade = shades[round(31 * value)]
            parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{shade}"/>')
    return "".join(parts)


def figure(panel: Panel, name: str, start: int) -> str:
    """A panel at frame `start`, as HTML; name: of nothing else on the page."""
    drawn, legend = [], []
    for curve in panel.curves:
        frames, colour = curve.frames(), colors.to_hex(curve.colour)
        style = f'fill="none" stroke="{colour}" stroke-linecap="round"'
        style += f' stroke-width="{14 if curve.style == "o" else 5}"'
        style += f' stroke-dasharray="{DASHES[curve.style]}"' * bool(DASHES[curve.style])
        path = panel.path(curve, *frames[start if curve.moves() else 0])
        moves = 'class="moves" ' * curve.moves()
        drawn.append(f'<path {moves}d="{path}" {style}/>')
        if curve.label:
            line = "M15 15h.1" if curve.style == "o" else "M3 15H57"
            key = f'<svg class="key" viewBox="0 0 60 30" aria-hidden="true"><path d="{line}"'
            legend.append(f"{key} {style}/></svg> {html.escape(curve.label)}")
    clip = f'<clipPath id="{name}"><rect x="{LEFT - 8}" y="{TOP - 8}"'
    clip += f' width="{ACROSS + 16}" height="{DOWN + 16}"/></clipPath>'
    about = html.escape(f"{panel.title}: {panel.ylabel} against {panel.xlabel}")
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{about}">{clip}'
    svg += f'{_axes(panel)}<g clip-path="url(#{name})">{_heat(panel)}{"".join(drawn)}</g></svg>'
    return f"<figure>{svg}<figcaption>{' &nbsp; '.join(legend)}</figcaption></figure>"


def slider(panels: list[Panel], label: str, told: list[str], start=0, pause=150) -> HTML:
    """Panels whose moving curves follow a slider. label: what it moves; told: of each frame, what
    is said beside it; start: the frame shown first; pause: milliseconds a frame when it plays.
    Raises StudyError where frames and `told` differ in number, and for more than 2 MB."""
    moving = [(panel, curve) for panel in panels for curve in panel.curves if curve.moves()]
    paths = [[panel.path(curve, *one) for one in curve.frames()] for panel, curve in moving]
    if not paths or any(len(one) != len(told) for one in paths):
        counts = [len(one) for one in paths]
        raise StudyError(
            f"frames: got {counts}; accepted: {len(told)} of each, as many as are told"
        )
    name = "touch" + sha256(json.dumps([paths, told, label]).encode()).hexdigest()[:10]
    data = {"name": name, "paths": paths, "told": told, "pause": pause}
    figures = [figure(panel, f"{name}-{number}", start) for number, panel in enumerate(panels)]
    bar = f'<input type="range" min="0" max="{len(told) - 1}" step="1" value="{start}">'
    bar = f"<label>{html.escape(label)} {bar}</label>"
    bar = f'<button type="button">Play</button>{bar}<output>{html.escape(told[start])}</output>'
    bar = f'<div class="bar" hidden>{bar}</div><p class="still">{NO_SCRIPTS}</p>'
    data = json.dumps(data).replace("<", "\\u003c")  # nothing in it may end the script
    script = f"<script>{SCRIPT}({data});</script>"
    body = f"<style>{STYLE}</style>{bar}{''.join(figures)}{script}"
    across = 2 if len(panels) in (2, 4) else 3
    page = f'<div class="touch" data-touch="{name}" style="max-width:{430 * across}px">{body}</div>'
    if len(page.encode()) > MOST_BYTES:
        raise refusal("frames", f"{len(page.encode()) / 1e6:.1f} MB", "at most 2 MB; take fewer")
    return HTML(page)
