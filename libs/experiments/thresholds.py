"""Operating points: thresholds from validation rows, and each run's metrics at them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from libs import Metrics
from libs.DataHandler import Splits, view_labels
from libs.experiments.result_files import describe_view, natural
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import Row
from libs.plotting.curves import roc_picture
from libs.plotting.histograms import (
    ThresholdedRun,
    bars_picture,
    histogram_picture,
    overview_picture,
)
from libs.utils import storage


def _at_rate(y: np.ndarray, scores: np.ndarray, rate: float) -> float:
    return Metrics.threshold_at(scores[y == 0], rate)


def _best(metric: str, y: np.ndarray, scores: np.ndarray, rate: float) -> float:
    return Metrics.best_threshold(y, scores, metric) if y.any() else float("nan")


RULES: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray, float], float]]] = {
    "FPR": ("a false-positive rate of at most {rate:g} on normal validation rows", _at_rate),
    "F1": ("the best F1 on labelled validation rows", partial(_best, "F1")),
    "accuracy": ("the best accuracy on labelled validation rows", partial(_best, "accuracy")),
}
"""Criterion of each rule in words, and a function of labels, scores and rate that returns the
threshold, NaN if there are too few rows. The last two rules need labels."""


@dataclass(frozen=True)
class ThresholdRule:
    """How the displayed threshold is chosen from validation rows.

    Attributes
    ----------
    rule : str
        One of `RULES`.
    rate : float
        Target false-positive rate.
    """

    rule: str = "FPR"
    rate: float = 0.01

    @property
    def words(self) -> str:
        """The rule in words."""
        return RULES[self.rule][0].format(rate=self.rate)


def write_operating_points(
    folder: Path,
    splits: Splits,
    split: str,
    rows: list[Row],
    validation: Mapping[str, np.ndarray],
    conditions: Conditions,
    threshold: ThresholdRule,
) -> dict[str, pd.DataFrame]:
    """Write ``<view>.thresholds.csv``, ``<view>.overview.png``, and a folder for each run.

    ``<view>/<run>/`` holds ``metrics.json`` with every rule's threshold, and ``histogram.png``,
    ``roc.png`` and ``metrics.png`` for the one of ``threshold``.

    Parameters
    ----------
    folder, splits, split, conditions
        See `libs.experiments.result_files.write_results`.
    rows : list of Row
        Scores of ``split``; rows without scores are skipped.
    validation : mapping of name to (m,) float
        Scores of all validation rows.
    threshold : ThresholdRule

    Returns
    -------
    dict of DataFrame
        For each view a row per run and rule.
    """
    experiment, data = splits.experiment, conditions.data
    words = f"threshold: {threshold.words}"
    tables = {}
    for view in experiment.views:
        mask, y = view_labels(experiment, view, splits.rows(split)[1])
        mask_val, y_val = view_labels(experiment, view, splits.classes_val)
        place = f"{data['data_set']}, {describe_view(experiment, view)}, seed {data['seed']}"
        runs = [
            RunAtThresholds(
                row.name, y, row.scores[mask], y_val, validation[row.name][mask_val], threshold.rate
            )
            for row in sorted(rows, key=lambda row: natural(row.name))
            if row.scores is not None
        ]
        if not runs or y.all() or not y.any():
            continue
        for run in runs:
            run.write(folder / view / run.name, threshold.rule, place, words)
        shown = [run.picture(threshold.rule) for run in runs]
        overview_picture(folder / f"{view}.overview.png", shown, f"{place}\n{words}")
        lines = {(run.name, r): point for run in runs for r, point in run.points.items()}
        index = pd.MultiIndex.from_tuples(lines, names=["run", "rule"])
        tables[view] = pd.DataFrame(list(lines.values()), index=index)
        with storage.replaced_file(folder / f"{view}.thresholds.csv") as path:
            tables[view].to_csv(path)
    return tables


class RunAtThresholds:
    """Scores of one run on one view, its thresholds, and its metrics at them.

    Parameters
    ----------
    name : str
    y, scores : (n,) int and (n,) float
        Test rows.
    y_val, scores_val : (m,) int and (m,) float
        Validation rows.
    rate : float
        Target false-positive rate.

    Attributes
    ----------
    ranking : dict
        AUC, AP and prevalence.
    points : dict of dict
        For each of `RULES` the threshold from validation rows and the metrics on test rows.
    """

    def __init__(
        self,
        name: str,
        y: np.ndarray,
        scores: np.ndarray,
        y_val: np.ndarray,
        scores_val: np.ndarray,
        rate: float,
    ):
        self.name = name
        self.y = y
        self.scores = scores
        self.rate = rate
        self.ranking = Metrics.ranking(y, scores)
        thresholds = {rule: choose(y_val, scores_val, rate) for rule, (_, choose) in RULES.items()}
        self.points = {rule: self._point(threshold) for rule, threshold in thresholds.items()}

    def _point(self, threshold: float) -> dict[str, float]:
        fpr = np.nan if np.isnan(threshold) else np.mean(self.scores[self.y == 0] > threshold)
        values = Metrics.at_threshold(self.y, self.scores, threshold)
        return {"threshold": threshold, **values, "FPR": float(fpr)}

    def picture(self, rule: str) -> ThresholdedRun:
        """The run as pictures show it."""
        point = self.points[rule]
        values = {name: point[name] for name in Metrics.THRESHOLDED}
        values |= {name: self.ranking[name] for name in Metrics.COLUMNS}
        return ThresholdedRun(self.name, self.y, self.scores, point["threshold"], values)

    def write(self, folder: Path, rule: str, place: str, words: str) -> None:
        """Write its metrics and pictures."""
        points = {
            r: {name: None if np.isnan(value) else value for name, value in point.items()}
            for r, point in self.points.items()
        }
        report = self.ranking | {"rate": self.rate, "rules": points}
        storage.write_json(folder / "metrics.json", report)
        shown = self.picture(rule)
        histogram_picture(folder / "histogram.png", shown, words)
        bars_picture(folder / "metrics.png", shown, words)
        curve = {self.name: Metrics.roc_points(self.y, self.scores)}
        roc_picture(folder / "roc.png", curve, self.name, place)
