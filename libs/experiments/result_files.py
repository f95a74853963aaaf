"""Runs to result files: metrics, ROC points, ROC pictures and scores, one folder per experiment."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from libs import Metrics
from libs.DataHandler import Experiment, Splits, view_labels
from libs.datasets.splits.experiment import NATURAL
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import DESCRIPTION, TRAINED, Row
from libs.plotting.curves import roc_picture
from libs.plotting.heat import gate_picture
from libs.utils import storage
from libs.utils.versions import made_with


def natural(name: str) -> tuple:
    """Sort key that puts A3-n5 before A3-n25."""
    stem, _, number = name.rpartition("-n")
    return (stem, int(number)) if number.isdigit() and stem else (name, -1)


def metric_table(mask: np.ndarray, y: np.ndarray, runs: list[Row]) -> pd.DataFrame:
    """Metrics of one view, one row per run; ``mask`` and ``y`` as `view_labels` gives them."""
    rows = {}
    for run in runs:
        ranking = {"prevalence": float(np.mean(y))}
        trained = {k: v for k, v in run.training.items() if k in TRAINED}
        if run.scores is not None:
            ranking = Metrics.ranking(y, run.scores[mask])
        status = {"jointly": run.jointly, "precision": run.precision or None}
        status |= {"status": "error" if run.error else "ok"}
        rows[run.name] = ranking | trained | status | {"error": run.error}
    columns = [*Metrics.COLUMNS, "prevalence", *TRAINED, "jointly", "precision", "status", "error"]
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns)
    for column in ("rows", "epochs", "updates"):
        table[column] = table[column].astype("Int64")
    return table.rename_axis("run")


def write_gate(path: Path, table: pd.DataFrame, title: str) -> None:
    """Write ``<path>.gate.csv`` and ``<path>.gate.png``, each whole or not at all."""
    text = table.rename(index=_cell, columns=_cell).to_csv(float_format="%.5g")
    storage.write_text(path.with_name(f"{path.name}.gate.csv"), text)
    gate_picture(path.with_name(f"{path.name}.gate.png"), table, title)


def _cell(name: str) -> str:
    """A class name that a spreadsheet does not take for a formula."""
    return f"'{name}" if name.startswith(("=", "@")) else name


def write_results(
    folder: Path, splits: Splits, split: str, rows: list[Row], conditions: Conditions
) -> dict[str, pd.DataFrame]:
    """Write all result files of one experiment, each whole or not at all.

    Parameters
    ----------
    folder : Path
        ``results/<data set>/<protocol>/<seed>/<experiment>/<val or test>``
    splits : Splits
    split : {"val", "test"}
        The rows that were scored.
    rows : list of Row
    conditions : Conditions
        They become ``experiment.json``, with the versions of libraries and of the project.

    Returns
    -------
    dict of DataFrame
        The metric table of each view. A view without both kinds of rows is left out.
    """
    experiment, classes = splits.experiment, splits.rows(split)[1]
    rows = sorted(rows, key=lambda row: natural(row.name))
    scored = [row for row in rows if row.scores is not None]
    tables = {}
    storage.write_json(
        folder / DESCRIPTION, conditions.describe() | {"part": split, "made_with": made_with()}
    )
    with storage.replaced_file(folder / "scores.npz") as path, open(path, "wb") as file:
        arrays = {row.name: row.scores for row in scored}
        np.savez_compressed(file, classes=classes.astype("U"), **arrays)
    data = conditions.data
    for row in rows:
        if row.gate is not None:
            title = f"{row.name} on {data['data_set']}, seed {data['seed']}"
            write_gate(folder / row.name, row.gate, title)
    for view in experiment.views:
        mask, y = view_labels(experiment, view, classes)
        if y.all() or not y.any():
            continue
        tables[view] = metric_table(mask, y, rows)
        with storage.replaced_file(folder / f"{view}.metric.csv") as path:
            tables[view].to_csv(path, float_format="%.6g")
        curves = {row.name: Metrics.roc_points(y, row.scores[mask]) for row in scored}
        columns = {}
        for name, (fpr, tpr) in curves.items():
            columns |= {f"fpr_{name}": pd.Series(fpr), f"tpr_{name}": pd.Series(tpr)}
        with storage.replaced_file(folder / f"{view}.roc.csv") as path:
            pd.DataFrame(columns).to_csv(path, float_format="%.5g", index=False)
        title = f"{data['data_set']}, {view} classes, seed {data['seed']}"
        words = describe_view(experiment, view)
        roc_picture(folder / f"{view}.roc.png", curves, title, words)
    return tables


def describe_view(experiment: Experiment, view: str) -> str:
    """Name the classes of a view: ``normal against DoS, Probe``."""
    return f"{list_classes(experiment.normal)} against {list_classes(experiment.views[view])}"


def describe_pollution(pollution: float) -> str:
    """Name a contamination of the training rows: ``pollution 0.05``, ``natural pollution``."""
    return "natural pollution" if pollution == NATURAL else f"pollution {pollution:g}"


def list_classes(classes: Sequence[str], longest: int = 100) -> str:
    """Class names with commas, cut where they are too long for a heading."""
    return textwrap.shorten(", ".join(classes), longest, placeholder=" …")
