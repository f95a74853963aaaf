"""Curves: ROC, and metrics over a swept parameter, with bands over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from libs.plotting.style import (
    COLOURS,
    DASHES,
    MARKERS,
    entitle,
    grid,
    line_style,
    page,
    picture_paths,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 14
"""Upper bound on the ROC curves in a picture, by AUC; more could not be told apart."""
INSIDE = 11
"""Names that fit into the picture without covering curves; longer legends go beside it."""


def _styles(names: Sequence[str]) -> dict[str, dict]:
    """A colour per method, dashes per label budget; the last run of a method is solid.

    If there are more methods than colours, the others are dashed.
    """
    budgets: dict[str, list[str]] = {}
    for name in names:
        budgets.setdefault(name.rsplit("-n", 1)[0], []).append(name)
    return {
        name: line_style(i, i // len(COLOURS) + j)
        for i, group in enumerate(budgets.values())
        for j, name in enumerate(reversed(group))
    }


def roc_picture(
    path: Path, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str, subtitle: str
) -> None:
    """Draw ROC curves, the best first in the legend.

    Parameters
    ----------
    path : Path
        PNG file.
    curves : mapping of name to (fpr, tpr)
    title, subtitle : str
    """
    aucs = {name: np.trapezoid(tpr, fpr) for name, (fpr, tpr) in curves.items()}
    beside = len(curves) > INSIDE
    with page(8.8 if beside else 6.4, 5.6, path) as figure:
        axes = figure.add_subplot()
        styles = _styles(list(curves))
        ranked = sorted(curves, key=lambda n: -aucs[n])
        for name in ranked[:SHOWN]:
            label = f"{name}  AUC {aucs[name]:.3f}"
            axes.plot(*curves[name], **styles[name], linewidth=1.7, label=label)
        axes.plot([0, 1], [0, 1], ":", color="#999999", linewidth=1, label="chance  AUC 0.500")
        if hidden := ranked[SHOWN:]:
            axes.plot([], [], " ", label=f"{len(hidden)} more, AUC up to {aucs[hidden[0]]:.3f}")
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("true-positive rate")
        entitle(axes, title, subtitle)
        grid(axes)
        if beside:
            figure.legend(loc="outside right center", fontsize=9)
        else:
            axes.legend(loc="lower right", fontsize=9, framealpha=0.95)


@dataclass(frozen=True)
class Sweep:
    """Contents of the picture of a sweep.

    Attributes
    ----------
    table : DataFrame
        Columns ``view``, ``method``, ``x`` (NaN: the method is not swept) and, for each metric,
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
    """Draw mean and standard deviation over seeds: a column per view, a line per metric.

    Parameters
    ----------
    path : Path
        Without a suffix; ``.png`` and ``.svg`` are written.
    sweep : Sweep
    """
    views = list(dict.fromkeys(sweep.table["view"]))
    methods = list(dict.fromkeys(sweep.table["method"]))
    metrics = [c.removesuffix("_mean") for c in sweep.table if c.endswith("_mean")]
    size = 1.2 + 2.5 * len(metrics)
    with page(max(6.4, 1.2 + 3.1 * len(views)), size, *picture_paths(path), dpi=90) as figure:
        panels = figure.subplots(len(metrics), len(views), squeeze=False, sharex=True)
        for line, metric in zip(panels, metrics, strict=True):
            for axes, view in zip(line, views, strict=True):
                shown = sweep.table[sweep.table["view"] == view]
                _draw_sweep(axes, shown, metric, methods)
                axes.set_title(f"{view}: {metric}", fontsize=10, loc="left")
        for axes in panels[-1]:
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
        lines, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=3, fontsize=9)
        figure.suptitle(f"{sweep.title}\n{sweep.subtitle}", fontsize=10)


def _draw_sweep(axes: "Axes", table: pd.DataFrame, metric: str, methods: Sequence[str]) -> None:
    """Draw lines with bands for swept methods, dashed levels for the others."""
    for i, method in enumerate(methods):
        rows = table[(table["method"] == method) & table[f"{metric}_mean"].notna()]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        label = f"{method} ({_seeds(rows[f'{metric}_count'])})"
        if not len(rows):
            axes.plot([], [], color=colour, label=f"{method} (none)")
        elif rows["x"].isna().all():
            mean, std = rows.iloc[0][[f"{metric}_mean", f"{metric}_std"]]
            axes.axhline(mean, **line_style(i, 1 + i % (len(DASHES) - 1)), label=label)
            if np.isfinite(std):
                axes.axhspan(mean - std, mean + std, color=colour, alpha=0.07, linewidth=0)
        else:
            rows = rows.sort_values("x")
            x, mean, std = (rows[c] for c in ("x", f"{metric}_mean", f"{metric}_std"))
            axes.plot(x, mean, color=colour, marker=marker, markersize=5, label=label)
            axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    grid(axes)


def _seeds(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"n = {low:.0f}" if low == high else f"n = {low:.0f} to {high:.0f}"
