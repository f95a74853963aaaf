"""Scores of a run at its threshold: histogram and bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from libs.plotting.style import COLOURS, entitle, grid, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ThresholdedRun:
    """A run at its threshold.

    Attributes
    ----------
    name : str
    y, scores : (n,) int and (n,) float
    threshold : float
        NaN where there is none.
    values : mapping of name to float
        Metrics in [0, 1], AUC among them.
    """

    name: str
    y: np.ndarray
    scores: np.ndarray
    threshold: float
    values: Mapping[str, float]


def histogram_picture(path: Path, run: ThresholdedRun, subtitle: str) -> None:
    """Draw the distributions of normal and anomalous scores, and the threshold."""
    with page(6.4, 4.2, path) as figure:
        axes = figure.add_subplot()
        _draw_histogram(axes, run)
        axes.set_xlabel("score")
        axes.set_ylabel("rows")
        axes.legend(fontsize=9)
        entitle(axes, run.name, subtitle)


def bars_picture(path: Path, run: ThresholdedRun, subtitle: str) -> None:
    """Draw a run's metrics as horizontal bars."""
    with page(6.4, 3.6, path) as figure:
        axes = figure.add_subplot()
        _draw_bars(axes, run.values)
        entitle(axes, run.name, subtitle)


def overview_picture(path: Path, runs: Sequence[ThresholdedRun], title: str) -> None:
    """Draw histogram and bars of every run, one row each, best AUC first."""
    with page(9, 2.2 * len(runs) + 0.6, path) as figure:
        panels = figure.subplots(len(runs), 2, squeeze=False)
        runs = sorted(runs, key=lambda run: -run.values["AUC"])
        for run, (left, right) in zip(runs, panels, strict=True):
            _draw_histogram(left, run)
            _draw_bars(right, run.values)
            left.set_title(run.name, fontsize=10, loc="left")
        panels[0][0].legend(fontsize=8)
        figure.suptitle(title, fontsize=11)


def _draw_histogram(axes: "Axes", run: ThresholdedRun) -> None:
    """Two histograms over the same bins; the highest 0.5 % of scores share the last bin."""
    y, scores, threshold = run.y, run.scores, run.threshold
    low, high = scores.min(), np.quantile(scores, 0.995)
    bins = np.linspace(low, max(high, low + 1e-9), 41)
    for label, name, colour in ((0, "normal", COLOURS[0]), (1, "anomalous", COLOURS[1])):
        shown = np.minimum(scores[y == label], bins[-1])
        axes.hist(shown, bins, color=colour, alpha=0.6, label=name)
    if np.isfinite(threshold):
        axes.axvline(threshold, color="#000000", linestyle="--", linewidth=1.2, label="threshold")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")  # powers of ten would be rendered as mathematics
    grid(axes)


def _draw_bars(axes: "Axes", values: Mapping[str, float]) -> None:
    bars = axes.barh(list(values), list(values.values()), color=COLOURS[0], height=0.7)
    axes.bar_label(bars, [f"{value:.3f}" for value in values.values()], padding=3, fontsize=8)
    axes.set_xlim(0, 1.12)
    axes.invert_yaxis()
    grid(axes, "x")
