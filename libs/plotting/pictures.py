"""Pictures of results. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")
SHOWN = 14
"""ROC curves in one picture, those of the highest AUC; more could not be told apart."""
INSIDE = 11
"""So many names leave the curves free; where there are more, they stand beside the picture."""


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour per method, a dash per label budget; a method's last name is drawn solid.

    Where there are more methods than colours, the others are dashed.
    """
    budgets: dict[str, list[str]] = {}
    for name in names:
        budgets.setdefault(name.rsplit("-n", 1)[0], []).append(name)
    return {
        name: (COLOURS[i % len(COLOURS)], DASHES[(i // len(COLOURS) + j) % len(DASHES)])
        for i, group in enumerate(budgets.values())
        for j, name in enumerate(reversed(group))
    }


def roc_picture(
    path: Path,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    aucs: Mapping[str, float],
    title: str,
    subtitle: str,
) -> None:
    """Draw ROC curves, the best first in the legend.

    Parameters
    ----------
    path : Path
        PNG file.
    curves : mapping of name to (fpr, tpr)
    aucs : mapping of name to float
    title, subtitle : str
    """
    beside = len(curves) > INSIDE
    with _page(path, 8.8 if beside else 6.4, 5.6) as figure:
        axes = figure.add_subplot()
        styles = _styles(list(curves))
        ranked = sorted(curves, key=lambda n: -aucs[n])
        for name in ranked[:SHOWN]:
            colour, dash = styles[name]
            label = f"{name}  AUC {aucs[name]:.3f}"
            axes.plot(*curves[name], dash, color=colour, linewidth=1.7, label=label)
        axes.plot([0, 1], [0, 1], ":", color="#999999", linewidth=1, label="chance  AUC 0.500")
        if hidden := ranked[SHOWN:]:
            axes.plot([], [], " ", label=f"{len(hidden)} more, AUC up to {aucs[hidden[0]]:.3f}")
        axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("true-positive rate")
        _entitle(axes, title, subtitle)
        axes.grid(color="#dddddd", linewidth=0.6)
        if beside:
            figure.legend(loc="outside right center", fontsize=9)
        else:
            axes.legend(loc="lower right", fontsize=9, framealpha=0.95)


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
    """Draw how the scores of normal and of anomalous rows are distributed, and the threshold."""
    with _page(path, 6.4, 4.2) as figure:
        axes = figure.add_subplot()
        _draw_histogram(axes, run)
        axes.set_xlabel("score")
        axes.set_ylabel("rows")
        axes.legend(fontsize=9)
        _entitle(axes, run.name, subtitle)


def bars_picture(path: Path, run: ThresholdedRun, subtitle: str) -> None:
    """Draw a run's metrics as horizontal bars."""
    with _page(path, 6.4, 3.6) as figure:
        axes = figure.add_subplot()
        _draw_bars(axes, run.values)
        _entitle(axes, run.name, subtitle)


def overview_picture(path: Path, runs: Sequence[ThresholdedRun], title: str) -> None:
    """Draw histogram and bars of every run, a line each, the best AUC on top."""
    with _page(path, 9, 2.2 * len(runs) + 0.6) as figure:
        grid = figure.subplots(len(runs), 2, squeeze=False)
        runs = sorted(runs, key=lambda run: -run.values["AUC"])
        for run, (left, right) in zip(runs, grid, strict=True):
            _draw_histogram(left, run)
            _draw_bars(right, run.values)
            left.set_title(run.name, fontsize=10, loc="left")
        grid[0][0].legend(fontsize=8)
        figure.suptitle(title, fontsize=11)


@contextmanager
def _page(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """Yield a figure of that size, in inches, that is saved at the end."""
    from matplotlib.figure import Figure  # half a second that no other command needs

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    yield figure
    figure.savefig(path, format="png")


def _entitle(axes: "Axes", title: str, subtitle: str) -> None:
    axes.set_title(f"{title}\n", fontsize=11)
    axes.text(0.5, 1.02, subtitle, transform=axes.transAxes, ha="center", fontsize=9, color="#444")


def _draw_histogram(axes: "Axes", run: ThresholdedRun) -> None:
    """Two histograms over the same bins; the highest scores, one in 200, share the last bin."""
    y, scores, threshold = run.y, run.scores, run.threshold
    low, high = scores.min(), np.quantile(scores, 0.995)
    bins = np.linspace(low, max(high, low + 1e-9), 41)
    for label, name, colour in ((0, "normal", COLOURS[0]), (1, "anomalous", COLOURS[1])):
        shown = np.minimum(scores[y == label], bins[-1])
        axes.hist(shown, bins, color=colour, alpha=0.6, label=name)
    if np.isfinite(threshold):
        axes.axvline(threshold, color="#000000", linestyle="--", linewidth=1.2, label="threshold")
    axes.set_yscale("log")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_bars(axes: "Axes", values: Mapping[str, float]) -> None:
    bars = axes.barh(list(values), list(values.values()), color=COLOURS[0], height=0.7)
    axes.bar_label(bars, [f"{value:.3f}" for value in values.values()], padding=3, fontsize=8)
    axes.set_xlim(0, 1.12)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def gate_picture(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw which expert answers for which class, as ARGUE's gate weighs them.

    Parameters
    ----------
    path : Path
        PNG file.
    table : DataFrame
        See `libs.experiments.stored_runs.gate_table`.
    title : str
    """
    rows, columns = table.shape
    with _page(path, 2.2 + 0.62 * columns, 1.6 + 0.38 * rows) as figure:
        axes = figure.add_subplot()
        axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (i, j), weight in np.ndenumerate(table.to_numpy()):
            colour = "white" if weight > 0.6 else "#222222"
            text = f"{weight:.2f}".replace("0.", ".", 1)
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(range(columns), table.columns, rotation=45, ha="right")
        axes.set_yticks(range(rows), table.index)
        axes.set_xlabel("expert")
        axes.set_ylabel("class")
        axes.set_title(title, fontsize=10)


def heat_picture(
    path: Path, images: np.ndarray, heat: np.ndarray, titles: Sequence[str], title: str
) -> None:
    """Draw images in grey, and over each what its pixels contribute to its score.

    Colours end, for each image by itself, at its largest contribution; the fainter a contribution,
    the more of the image is seen through it.

    Parameters
    ----------
    path : Path
        PNG file.
    images, heat : (n, height, width, channels) float
        Contributions of several channels are added up.
    titles : sequence of str
        One for each image.
    title : str
    """
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("blame", (COLOURS[0], "#ffffff", COLOURS[1]))
    columns = min(4, len(images))
    lines = -(-len(images) // columns)
    with _page(path, 2.1 * columns + 0.9, 2.35 * lines + 0.5) as figure:
        panels = figure.subplots(lines, columns, squeeze=False).reshape(-1)
        for axes in panels[len(images) :]:
            axes.set_axis_off()
        for axes, image, own, name in zip(panels, images, heat.sum(axis=3), titles, strict=False):
            own = own / max(np.abs(own).max(), np.finfo(np.float32).tiny)
            axes.imshow(image.mean(axis=2), cmap="gray_r", vmin=0, vmax=2.2)
            drawn = axes.imshow(own, cmap=colours, vmin=-1, vmax=1, alpha=np.sqrt(np.abs(own)))
            axes.set(xticks=(), yticks=())
            axes.set_title(name, fontsize=8)
        bar = figure.colorbar(drawn, ax=panels, ticks=(-1, 0, 1), shrink=0.6)
        bar.ax.set_yticklabels(["normal", "0", "anomalous"])
        figure.suptitle(title, fontsize=10)
