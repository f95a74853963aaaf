"""A saved model that scores raw rows of tables, and what is strange about these rows."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from libs import Metrics
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.reading import Block
from libs.detectors.attribution import strongest
from libs.detectors.detector import Detector
from libs.experiments.model_folders import run_folder
from libs.utils import storage
from libs.utils.errors import UserError

EDGE = 1e-6
"""How far a scaled number may lie outside [0, 1] by rounding alone."""
STRANGE, FLAGGED, ROWS = "strange", "flagged", "rows"


class Scorer:
    """A saved model that scores raw rows.

    Parameters
    ----------
    folder : path
        A run's folder, or a method's that holds a single run.
    rate : float, optional
        Flag rows above the threshold that lets through at most this fraction of the normal
        validation rows.
    explained : int
        Name so many columns of the table that raised the score of a flagged row most. Without a
        rate, rows are flagged by the model's own.
    ids : sequence of str
        Columns that are kept beside the scores, with those that the training kept.

    Attributes
    ----------
    counts : Counter
        Of the last block: ``rows``, ``flagged`` and, under (``strange``, column), values outside
        the range of the training rows or texts that these did not have.

    Raises
    ------
    UserError
        If there is no such model, its inputs are not known, it has too few calibration scores, or
        shall explain scores and cannot.
    """

    def __init__(
        self,
        folder: str | Path,
        rate: float | None = None,
        explained: int = 0,
        ids: tuple[str, ...] = (),
    ):
        self.folder = run_folder(folder)
        self.detector = Detector.load(self.folder)
        self.encoder = Encoder.load(self.folder)
        schema = self.encoder.schema
        self.ids = tuple(dict.fromkeys([*schema.ids, *ids]))
        self.wanted = schema.wanted | set(self.ids)
        self.explained = min(explained, len(schema.inputs))
        if explained:
            self.detector.explain(np.zeros((1, len(self.encoder.features))))  # or a UserError now
            rate = getattr(self.detector, "rate_", None) if rate is None else rate
        self.rate = rate
        budgets = getattr(self.detector, "budgets_", None) or ()
        self.endings = [f"-n{b}" for b in budgets] if len(budgets) > 1 else [""]
        self.thresholds = None if rate is None else self._thresholds(rate)
        self.counts: Counter = Counter()

    def _thresholds(self, rate: float) -> np.ndarray:
        """The threshold of each column of scores."""
        scores = getattr(self.detector, "calibration_scores_", None)
        if scores is None:
            raise UserError(f"{self.folder} has no calibration scores: train it by a do_ script")
        found = np.array([Metrics.threshold_at(column, rate) for column in scores.T])
        if np.isnan(found).any():
            raise UserError(
                f"a rate of {rate:g} needs at least {int(np.ceil(1 / rate))} normal validation "
                f"rows, the model has {len(scores)}; give a higher rate"
            )
        return found

    def describe(self) -> dict[str, Any]:
        """What decides the scores of a row, in JSON."""
        manifest = storage.sha256(self.folder / storage.MANIFEST)
        return {
            "model": manifest,
            "rate": self.rate,
            "explained": self.explained,
            "ids": list(self.ids),
        }

    def columns(self, block: Block) -> dict[str, np.ndarray]:
        """What is said of each row of a block.

        Returns
        -------
        dict of (n,) arrays
            ``score`` (float32; of several label budgets ``score-n5`` and so on), and with a rate
            ``anomaly`` (0 or 1); then ``feature_1`` (str), ``contribution_1`` (float32) and so on,
            empty where a row is not flagged. The score is infinite where a row is so far from all
            training rows that the arithmetic of the model overflows.
        """
        extra = set(self.ids) - self.encoder.schema.wanted
        x = self.encoder.rows(replace(block, frame=block.frame.drop(extra, strict=False)))
        scores = self.detector.decision_matrix(x)
        scores[np.isnan(scores)] = np.inf
        self.counts = Counter({ROWS: len(x)}) + self._strange(x)
        columns = {f"score{end}": scores[:, i] for i, end in enumerate(self.endings)}
        if self.thresholds is not None:
            flags = (scores > self.thresholds).astype(np.int8)
            columns |= {f"anomaly{end}": flags[:, i] for i, end in enumerate(self.endings)}
            self.counts[FLAGGED] = int(flags[:, -1].sum())
        if self.explained:
            columns |= self._reasons(x, flags[:, -1])
        return columns

    def _strange(self, x: np.ndarray) -> Counter:
        """How many values of each input the training rows did not have."""
        found, start = Counter(), 0
        for column in self.encoder.schema.inputs:
            end = start + len(column.features)
            values = x[:, start:end]
            if column.kind == "text":
                none = -self.encoder.low[start:end] / self.encoder.span[start:end]
                outside = (values == none).all(axis=1)
            else:
                outside = ((values < -EDGE) | (values > 1 + EDGE)).any(axis=1)
            found[f"{STRANGE} {column.name}"] = int(outside.sum())
            start = end
        return +found

    def _reasons(self, x: np.ndarray, flagged: np.ndarray) -> dict[str, pl.Series]:
        """The strongest columns of the flagged rows; features of one column are added up."""
        inputs, rows = self.encoder.schema.inputs, np.flatnonzero(flagged)
        names = np.full((len(x), self.explained), None, object)
        values = np.full((len(x), self.explained), np.nan, np.float32)
        if len(rows):
            found = self.detector.explain(x[rows]).contributions
            first = np.cumsum([0, *(len(column.features) for column in inputs[:-1])])
            found = np.add.reduceat(found, first, axis=1)
            rows, found = rows[(finite := np.isfinite(found).all(axis=1))], found[finite]
            strong = strongest(found, [column.name for column in inputs], self.explained)
            names[rows], values[rows] = strong
        columns = {}
        for i in range(self.explained):
            columns[f"feature_{i + 1}"] = pl.Series(names[:, i].tolist(), dtype=pl.String)
            columns[f"contribution_{i + 1}"] = pl.Series(values[:, i]).fill_nan(None)
        return columns

    def summary(self, counts: Counter) -> list[str]:
        """Lines for people on all rows: flagged ones, and columns unlike those of the training."""
        rows = max(1, counts[ROWS])
        lines = []
        if self.thresholds is not None:
            lines.append(
                f"{counts[FLAGGED]:,} flagged ({counts[FLAGGED] / rows:.2%}): scores above "
                f"{self.thresholds[-1]:.6g}, as {self.rate:.2%} of the normal validation rows have"
            )
        kinds = {column.name: column.kind for column in self.encoder.schema.inputs}
        words = {
            "text": "a text that no training row had",
            "number": "a number outside the range of the training rows",
        }
        strange = [(counts[f"{STRANGE} {name}"] / rows, name) for name in kinds]
        for fraction, name in sorted(strange, reverse=True)[:MOST_STRANGE]:
            if fraction > DRIFTED:
                kind = words[kinds[name]]
                lines.append(f"drift: {fraction:.1%} of the rows have in {name!r} {kind}")
        return lines


DRIFTED = 0.01
"""Fraction of strange values from which a column is told."""
MOST_STRANGE = 5
"""Columns that are told."""
