"""Pictures of results. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":")


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour per method, a dash per label budget; a method's last name is drawn solid."""
    budgets: dict[str, list[str]] = {}
    for name in names:
        budgets.setdefault(name.rsplit("-n", 1)[0], []).append(name)
    return {
        name: (COLOURS[i % len(COLOURS)], DASHES[j % len(DASHES)])
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
    from matplotlib.figure import Figure  # half a second that no other command needs

    figure = Figure(figsize=(6.4, 5.6), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    styles = _styles(list(curves))
    for name in sorted(curves, key=lambda n: -aucs[n]):
        colour, dash = styles[name]
        label = f"{name}  AUC {aucs[name]:.3f}"
        axes.plot(*curves[name], dash, color=colour, linewidth=1.7, label=label)
    axes.plot([0, 1], [0, 1], ":", color="#999999", linewidth=1, label="chance  AUC 0.500")
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
    axes.set_xlabel("false-positive rate")
    axes.set_ylabel("true-positive rate")
    axes.set_title(f"{title}\n", fontsize=11)
    axes.text(0.5, 1.02, subtitle, transform=axes.transAxes, ha="center", fontsize=9, color="#444")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(loc="lower right", fontsize=9, framealpha=0.95)
    figure.savefig(path, format="png")


def gate_picture(path: Path, table: pd.DataFrame, title: str) -> None:
    """Draw which expert answers for which class, as ARGUE's gate weighs them.

    Parameters
    ----------
    path : Path
        PNG file.
    table : DataFrame
        See `libs.results.gate_table`.
    title : str
    """
    from matplotlib.figure import Figure  # half a second that no other command needs

    rows, columns = table.shape
    size = (2.2 + 0.62 * columns, 1.6 + 0.38 * rows)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
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
    figure.savefig(path, format="png")
