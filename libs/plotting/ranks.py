"""Average ranks and their critical difference."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from libs.plotting.style import COLOURS, INK, page, picture_paths


def critical_difference_picture(
    path: Path,
    ranks: pd.Series,
    difference: float,
    groups: Sequence[tuple[str, str]],
    title: str,
) -> None:
    """Draw average ranks on a line, best on the left; bars join methods that do not differ.

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
    with page(7.2, 1.5 + 0.3 * (half + len(groups)), *picture_paths(path), dpi=90) as figure:
        axes = figure.add_subplot()
        low, high = 1, len(ranks)
        axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
        for tick in range(low, high + 1):
            axes.plot([tick, tick], [0, 0.15], color=INK, linewidth=1.2)
            axes.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=9)
        for i, (method, rank) in enumerate(ranks.items()):
            left = i < half
            y = -depth - 0.55 * (i if left else len(ranks) - 1 - i)
            x = low - 0.15 if left else high + 0.15
            axes.plot([rank, rank, x], [0, y, y], color=INK, linewidth=0.9)
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
