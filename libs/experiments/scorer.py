"""A saved model that scores raw rows of tables and counts unusual values."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from libs import Metrics
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.reading import Block
from libs.datasets.tabular.schema import Column
from libs.detectors.attribution import strongest
from libs.experiments.model_folders import load_model, run_folder
from libs.utils import storage
from libs.utils.errors import UserError

EDGE = 1e-6
"""Tolerance by which rounding may put a scaled number outside [0, 1]."""
STRANGE, FLAGGED, DOUBTED, ROWS = "strange", "flagged", "doubted", "rows"


class Scorer:
    """A saved model that scores raw rows.

    Parameters
    ----------
    folder : path
        Folder of a run, or of a method with a single run.
    rate : float, optional
        False-positive rate on normal validation rows that sets the threshold for flagging rows.
    explained : int
        Number of columns to name that raised the score of a flagged row most. Without a rate, the
        model's own threshold flags rows.
    ids : sequence of str
        Columns to keep beside the scores, in addition to those that are no inputs.

    Attributes
    ----------
    counts : Counter
        Of the last block: ``rows``, ``flagged``, ``doubted`` (flagged, but without reasons, as
        these cannot be relied on) and, per column, ``strange`` values: outside the range of the
        training rows, or texts that these did not have.

    Raises
    ------
    UserError
        If the model is missing, its inputs are unknown, it has too few calibration scores, or it
        cannot explain scores but should.
    """

    def __init__(
        self,
        folder: str | Path,
        rate: float | None = None,
        explained: int = 0,
        ids: tuple[str, ...] = (),
    ):
        self.folder = run_folder(folder)
        self.detector = load_model(self.folder)
        self.encoder = Encoder.load(self.folder)
        schema = self.encoder.schema
        self.ids = tuple(dict.fromkeys([*schema.beside, *ids]))
        self.wanted = schema.wanted | set(self.ids)
        self.explained = min(explained, len(schema.inputs))
        if explained:
            self.detector.explain(
                np.zeros((1, len(self.encoder.features)))
            )  # raises a UserError early
            rate = getattr(self.detector, "rate_", None) if rate is None else rate
        self.rate = rate
        budgets = getattr(self.detector, "budgets_", None) or ()
        self.endings = [f"-n{b}" for b in budgets] if len(budgets) > 1 else [""]
        self.counts: Counter = Counter()

    @cached_property
    def thresholds(self) -> np.ndarray | None:
        """The threshold of each column of scores; None: no row is flagged."""
        rate = self.rate
        if rate is None:
            return None
        scores = getattr(self.detector, "calibration_scores_", None)
        if scores is None:
            raise UserError(f"{self.folder} has no calibration scores: train it with a do_ script")
        found = np.array([Metrics.threshold_at(column, rate) for column in scores.T])
        if np.isnan(found).any():
            raise UserError(
                f"a rate of {rate:g} needs at least {int(np.ceil(1 / rate))} normal validation "
                f"rows, the model has {len(scores)}; give a higher rate"
            )
        return found

    def describe(self) -> dict[str, Any]:
        """Everything that determines the scores of a row, in JSON."""
        manifest = storage.sha256(self.folder / storage.MANIFEST)
        return {
            "model": manifest,
            "rate": self.rate,
            "thresholds": None if self.thresholds is None else self.thresholds.tolist(),
            "explained": self.explained,
            "ids": list(self.ids),
        }

    def score(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Inputs of the rows of a block, and their scores, float32 (n, budgets)."""
        extra = set(self.ids) - self.encoder.schema.wanted
        x = self.encoder.rows(replace(block, frame=block.frame.drop(extra, strict=False)))
        scores = self.detector.decision_matrix(x)
        scores[np.isnan(scores)] = np.inf
        return x, scores

    def columns(self, block: Block) -> dict[str, np.ndarray]:
        """Score and flag the rows of a block.

        Returns
        -------
        dict of (n,) arrays
            ``score`` (float32; with several label budgets ``score-n5`` and so on) and, with a rate,
            ``anomaly`` (0 or 1); then ``base`` (float32), the score that the reasons start from,
            ``feature_1`` (str), ``contribution_1`` (float32) and so on, empty for rows that are not
            flagged or have no reasons that can be relied on. The score is infinite if a row is so
            far from all training rows that the model overflows.
        """
        x, scores = self.score(block)
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
        """Count the values of each input that the training rows did not have."""
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
        """The strongest columns of flagged rows; the features of a column are added up."""
        inputs, rows = self.encoder.schema.inputs, np.flatnonzero(flagged)
        names = np.full((len(x), self.explained), None, object)
        values = np.full((len(x), self.explained), np.nan, np.float32)
        base = np.full(len(x), np.nan, np.float32)
        if len(rows):
            found = self.detector.explain(x[rows])
            told = np.isfinite(found.contributions).all(axis=1) & ~found.doubtful
            self.counts[DOUBTED] = int(found.doubtful.sum())
            rows, parts = rows[told], found.contributions[told]
            base[rows] = found.base[told]
            if len(rows):
                names[rows], values[rows] = strongest_columns(parts, inputs, self.explained)
        columns = {"base": pl.Series(base).fill_nan(None)}
        for i in range(self.explained):
            columns[f"feature_{i + 1}"] = pl.Series(names[:, i].tolist(), dtype=pl.String)
            columns[f"contribution_{i + 1}"] = pl.Series(values[:, i]).fill_nan(None)
        return columns

    def summary(self, counts: Counter) -> list[str]:
        """Summary lines: flagged rows, and columns that differ from training."""
        rows = max(1, counts[ROWS])
        lines = []
        if self.thresholds is not None:
            line = f"{counts[FLAGGED]:,} flagged ({counts[FLAGGED] / rows:.2%}): scores above "
            line += f"{self.thresholds[-1]:.6g}"
            if self.rate is not None:
                line += f", as {self.rate:.2%} of the normal validation rows have"
            lines.append(line)
        if counts[DOUBTED]:
            lines.append(f"{counts[DOUBTED]:,} of them without reasons: gradients miss too much")
        kinds = {column.name: column.kind for column in self.encoder.schema.inputs}
        words = {
            "text": "a text that no training row had",
            "number": "a number outside the range of the training rows",
            "date": "an hour, weekday or age that no training row had",
        }
        strange = [(counts[f"{STRANGE} {name}"] / rows, name) for name in kinds]
        for fraction, name in sorted(strange, reverse=True)[:MOST_STRANGE]:
            if fraction > DRIFTED:
                kind = words[kinds[name]]
                lines.append(f"drift: {fraction:.1%} of the rows have in {name!r} {kind}")
        return lines


def strongest_columns(
    contributions: np.ndarray, inputs: Sequence[Column], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """`strongest` for the columns of a table: the contributions of a column's features add up."""
    first = np.cumsum([0, *(len(column.features) for column in inputs[:-1])])
    found = np.add.reduceat(contributions, first, axis=1)
    return strongest(found, [column.name for column in inputs], k)


DRIFTED = 0.01
"""Fraction of strange values from which a column is reported."""
MOST_STRANGE = 5
"""Upper bound on the columns reported."""
