"""Pictures of results. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")


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
    from matplotlib.figure import Figure  # half a second that no other command needs

    figure = Figure(figsize=(6.4, 5.6), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    names = list(curves)
    for name in sorted(names, key=lambda n: -aucs[n]):
        i = names.index(name)
        style = DASHES[i // len(COLOURS) % len(DASHES)]
        colour = COLOURS[i % len(COLOURS)]
        label = f"{name}  AUC {aucs[name]:.3f}"
        axes.plot(*curves[name], style, color=colour, linewidth=1.8, label=label)
    axes.plot([0, 1], [0, 1], ":", color="#999999", linewidth=1, label="chance  AUC 0.500")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
    axes.set_xlabel("false-positive rate")
    axes.set_ylabel("true-positive rate")
    axes.set_title(f"{title}\n", fontsize=11)
    axes.text(0.5, 1.02, subtitle, transform=axes.transAxes, ha="center", fontsize=9, color="#444")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(loc="lower right", fontsize=9, framealpha=0.95)
    figure.savefig(path, format="png")
