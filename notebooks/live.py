"""Pictures to touch where a kernel listens: sliders of ipywidgets, and what they show computed
anew at every change. `touch` has those that need no kernel."""

import os

import ipywidgets
from IPython.display import HTML

from notebooks import touch

# what JupyterLab and Notebook, Colab, and VS Code set for the kernels they start
LISTENERS = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "VSCODE_PID")
NOBODY = "Sliders stand here when this notebook is open in JupyterLab; its kernel draws."


def live(draw, **choices):
    """A slider (of numbers) or a list (of words) for each argument of draw, and the touch.Panels
    that draw(**chosen) returns. choices: the values of each; it starts with the middle number, or
    the first word. Where no front end listens, as under papermill, a sentence."""
    if not any(os.environ.get(name) for name in LISTENERS):
        return HTML(f"<p><em>{NOBODY}</em></p>")
    controls = {name: _control(name, list(values)) for name, values in choices.items()}
    picture = ipywidgets.HTML()

    def show(_=None) -> None:
        picture.value = still(draw(**{name: one.value for name, one in controls.items()}))

    for control in controls.values():
        control.observe(show, "value")
    show()
    return ipywidgets.VBox([*controls.values(), picture])


def _control(name: str, values: list):
    words = any(isinstance(value, str) for value in values)
    kind = ipywidgets.Dropdown if words else ipywidgets.SelectionSlider
    options = [(value if words else f"{value:.3g}", value) for value in values]
    start = values[0 if words else len(values) // 2]
    return kind(options=options, value=start, description=name.replace("_", " "))


def still(panels: list[touch.Panel]) -> str:
    """Panels of curves that stand still, as HTML."""
    figures = [touch.figure(panel, f"live-{number}", 0) for number, panel in enumerate(panels)]
    across = 2 if len(panels) in (2, 4) else 3
    style = f"<style>{touch.STYLE}</style>"
    return f'<div class="touch" style="max-width:{430 * across}px">{style}{"".join(figures)}</div>'
