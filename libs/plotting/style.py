"""Style and writing of all pictures: colours, dashes, figures as PNG or SVG.

Text from data is never markup: ``$`` in a class name stays a dollar sign. Equal numbers give equal
bytes: no dates, no random names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from libs.utils import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""
DASHES = ((), (7, 2), (2, 2), (7, 2, 2, 2), (1, 1.5), (12, 3))
"""Points on and off; the first is a solid line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")
INK, FAINT = "#222222", "#dddddd"
FIXED = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],
}


@contextmanager
def page(width: float, height: float, *paths: Path, dpi: int = 130) -> Iterator["Figure"]:
    """Yield a figure of the given size, in inches, which is written at the end.

    Parameters
    ----------
    width, height : float
    *paths : Path
        Each written as SVG if it ends in ``.svg``, else as PNG; whole or not at all.
    dpi : int
        Of the PNG.
    """
    import matplotlib
    from matplotlib.figure import Figure  # half a second that other commands need not spend

    with matplotlib.rc_context(FIXED | {"svg.hashsalt": paths[0].stem}):
        figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
        yield figure
        for path in paths:
            if path.suffix == ".svg":
                about = {"format": "svg", "metadata": {"Date": None, "Creator": None}}
            else:
                about = {"format": "png", "metadata": {"Software": None}}
            with storage.replaced_file(path) as temporary:
                figure.savefig(temporary, **about)


def picture_paths(path: Path) -> tuple[Path, Path]:
    """PNG and SVG of that name."""
    return path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.svg")


def line_style(number: int, dash: int) -> dict:
    """Colour and dashes of a line."""
    dashes = DASHES[dash % len(DASHES)]
    style = (0, dashes) if dashes else "-"
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": style}


def grid(axes: "Axes", axis: str = "both") -> None:
    """Draw faint lines behind the data."""
    axes.grid(axis=axis, color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def entitle(axes: "Axes", title: str, subtitle: str) -> None:
    """Set a title and a smaller line below it."""
    axes.set_title(f"{title}\n", fontsize=11)
    axes.text(0.5, 1.02, subtitle, transform=axes.transAxes, ha="center", fontsize=9, color="#444")
