"""Pictures over seeds and data sets: sweeps with bands, critical differences. PNG and SVG.

Colours are those of `libs.plotting.pictures`; lines differ by their markers and dashes too. The
same numbers give the same bytes: no dates, no random names.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from libs.plotting.pictures import COLOURS
from libs.utils import storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")
DASHES = ((7, 2), (2, 2), (7, 2, 2, 2), (1, 1.5), (12, 3))
"""Of methods that are not swept."""


@dataclass(frozen=True)
class Sweep:
    """What a picture of a sweep shows.

    Attributes
    ----------
    table : DataFrame
        Columns ``view``, ``method``, ``x`` (NaN: a method that is not swept) and, for AUC and AP,
        ``_mean``, ``_std`` and ``_count`` over seeds.
    ticks : mapping of x to str
    label : str
        Of the x axis.
    title, subtitle : str
    logarithmic : bool
        Scale of the x axis, linear from 0 to 1.
    """

    table: pd.DataFrame
    ticks: Mapping[float, str]
    label: str
    title: str
    subtitle: str
    logarithmic: bool = False


def sweep_picture(path: Path, sweep: Sweep) -> None:
    """Draw mean and standard deviation over seeds: a column per view, AUC above AP.

    Parameters
    ----------
    path : Path
        Without a suffix; ``.png`` and ``.svg`` are written.
    sweep : Sweep
    """
    views = list(dict.fromkeys(sweep.table["view"]))
    methods = list(dict.fromkeys(sweep.table["method"]))
    with _page(path, max(6.4, 1.2 + 3.1 * len(views)), 6.2) as figure:
        grid = figure.subplots(2, len(views), squeeze=False, sharex=True)
        for line, metric in zip(grid, ("AUC", "AP"), strict=True):
            for axes, view in zip(line, views, strict=True):
                shown = sweep.table[sweep.table["view"] == view]
                _draw_sweep(axes, shown, metric, methods)
                axes.set_title(f"{view}: {metric}", fontsize=10, loc="left")
        for axes in grid[1]:
            low, high = min(sweep.ticks), max(sweep.ticks)
            edge = 0.04 * (high - low)
            limits = low - edge, high + edge
            if sweep.logarithmic:
                axes.set_xscale("symlog", linthresh=1)
                limits = low / 1.2 if low else -0.2, high * 1.2
            axes.set_xticks(list(sweep.ticks), list(sweep.ticks.values()))
            axes.set_xlim(limits)
            axes.minorticks_off()
            axes.set_xlabel(sweep.label)
        lines, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=3, fontsize=9)
        figure.suptitle(f"{sweep.title}\n{sweep.subtitle}", fontsize=10)


def _draw_sweep(axes: "Axes", table: pd.DataFrame, metric: str, methods: Sequence[str]) -> None:
    """Lines with bands for what is swept, dashed levels for the rest."""
    for i, method in enumerate(methods):
        rows = table[(table["method"] == method) & table[f"{metric}_mean"].notna()]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        label = f"{method} ({_seeds(rows[f'{metric}_count'])})"
        if not len(rows):
            axes.plot([], [], color=colour, label=f"{method} (none)")
        elif rows["x"].isna().all():
            mean, std = rows.iloc[0][[f"{metric}_mean", f"{metric}_std"]]
            dashes = (0, DASHES[i % len(DASHES)])
            axes.axhline(mean, color=colour, linestyle=dashes, label=label)
            if np.isfinite(std):
                axes.axhspan(mean - std, mean + std, color=colour, alpha=0.07, linewidth=0)
        else:
            rows = rows.sort_values("x")
            x, mean, std = (rows[c] for c in ("x", f"{metric}_mean", f"{metric}_std"))
            axes.plot(x, mean, color=colour, marker=marker, markersize=5, label=label)
            axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _seeds(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"n = {low:.0f}" if low == high else f"n = {low:.0f} to {high:.0f}"


def critical_difference_picture(
    path: Path,
    ranks: pd.Series,
    difference: float,
    groups: Sequence[tuple[str, str]],
    title: str,
) -> None:
    """Draw average ranks on a line, the best on the left; bars join what cannot be told apart.

    Parameters
    ----------
    path : Path
        Without a suffix; ``.png`` and ``.svg`` are written.
    ranks : Series
        Average rank by method.
    difference : float
        See `libs.reporting.statistics.critical_difference`.
    groups : sequence of (str, str)
        First and last method of each bar.
    title : str
    """
    ranks = ranks.sort_values(kind="stable")
    half = (len(ranks) + 1) // 2
    depth = 0.9 + 0.35 * len(groups)
    with _page(path, 7.2, 1.5 + 0.3 * (half + len(groups))) as figure:
        axes = figure.add_subplot()
        low, high = 1, len(ranks)
        axes.plot([low, high], [0, 0], color="#222222", linewidth=1.2)
        for tick in range(low, high + 1):
            axes.plot([tick, tick], [0, 0.15], color="#222222", linewidth=1.2)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=9)
        for i, (method, rank) in enumerate(ranks.items()):
            left = i < half
            y = -depth - 0.55 * (i if left else len(ranks) - 1 - i)
            x = low - 0.15 if left else high + 0.15
            axes.plot([rank, rank, x], [0, y, y], color="#222222", linewidth=0.9)
            side = "right" if left else "left"
            gap = -0.05 if left else 0.05
            axes.text(x + gap, y, f"{method}  {rank:.2f}", ha=side, va="center", fontsize=10)
        for i, (first, last) in enumerate(groups):
            ends = [ranks[first] - 0.04, ranks[last] + 0.04]
            axes.plot(ends, [-0.4 - 0.35 * i] * 2, color=COLOURS[0], linewidth=4.5)
        axes.plot([low, low + difference], [1.0, 1.0], color=COLOURS[1], linewidth=2.5)
        axes.text(low, 1.12, f"critical difference {difference:.2f}", fontsize=9, va="bottom")
        margin = 0.35 * (high - low) + 0.5
        axes.set(xlim=(low - margin, high + margin), ylim=(-depth - 0.55 * half, 1.7))
        axes.set_axis_off()
        axes.set_title(title, fontsize=10)


@contextmanager
def _page(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """Yield a figure of that size, in inches, that is written to ``path`` as PNG and SVG."""
    import matplotlib
    from matplotlib.figure import Figure  # half a second that no other command needs

    figure = Figure(figsize=(width, height), dpi=90, layout="constrained")
    yield figure
    with storage.replaced_file(path.with_name(f"{path.name}.png")) as png:
        figure.savefig(png, format="png", metadata={"Software": None})
    text = io.StringIO()
    plain = {"svg.fonttype": "none", "svg.hashsalt": path.name, "font.sans-serif": ["DejaVu Sans"]}
    with matplotlib.rc_context(plain):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    storage.write_text(path.with_name(f"{path.name}.svg"), _short(text.getvalue()))


def _short(svg: str) -> str:
    """An SVG at half its size: no comments, no names of groups, positions in tenths of a point."""

    def tag(match: re.Match) -> str:
        named = re.sub(r'<g id="[^"]*"', "<g", match[0])
        return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.1f}", named)

    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", tag, svg)
    return "\n".join(line for line in map(str.strip, svg.splitlines()) if line) + "\n"
