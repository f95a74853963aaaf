"""Heat: weights of gates, contributions of pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from libs.plotting.style import COLOURS, INK, page


def gate_picture(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw how ARGUE's gate weighs the experts for each class.

    Parameters
    ----------
    path : Path
        PNG file.
    table : DataFrame
        See `libs.experiments.stored_runs.gate_table`.
    title : str
    """
    rows, columns = table.shape
    with page(2.2 + 0.62 * columns, 1.6 + 0.38 * rows, path) as figure:
        axes = figure.add_subplot()
        axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (i, j), weight in np.ndenumerate(table.to_numpy()):
            colour = "white" if weight > 0.6 else INK
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
    """Draw grey images, overlaid with what each pixel contributes to the score.

    The colour scale of each image ends at its largest contribution; the smaller a contribution, the
    more transparent it is.

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
    with page(2.1 * columns + 0.9, 2.35 * lines + 0.5, path) as figure:
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
