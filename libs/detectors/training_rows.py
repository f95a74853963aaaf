"""What a detector remembers of its training rows: names, range, and how it scores them."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from libs.datasets.splits.rows import Rows, iterate_blocks
from libs.detectors.checks import InputError, check_finite, column_names, numeric_rows
from libs.utils import storage
from libs.utils.seeds import derive_seed

SCORED = 10_000
"""Training rows, at most, that a detector scores to calibrate itself."""
FAR = 10
"""A value is far outside if it is beyond the training range by this many times its width.

That of the feature, or of all values of an image, whose edges may be nearly constant.
"""
MANY = 0.01
"""Fraction of rows far outside that is a matter of scaling rather than of single anomalies."""
FILE = "training_rows.npz"


@dataclass(eq=False)
class TrainingRows:
    """Names and range of the rows that a detector was trained on, and the scores of some.

    Attributes
    ----------
    shape : tuple of int
        Of one row.
    names : tuple of str, optional
        Of the columns, if the rows came as a DataFrame.
    contamination : float
        Fraction of the rows that is above the threshold until `calibrate` chooses another one.
    low, high : (...) float32, optional
        Least and largest value of each feature; None for models of earlier versions.
    sample : rows, optional
        The rows to be scored, until this is done: all, or `SCORED` random ones in their order.
    scores : (m, budgets) float32, optional
    """

    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    contamination: float = 0.1
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    sample: np.ndarray | Rows | None = None
    scores: np.ndarray | None = None
    warned: bool = False

    @classmethod
    def of(cls, x: np.ndarray | Rows, names: tuple[str, ...] | None, contamination: float) -> Self:
        """Look at rows as `numeric_rows` gives them; values that are not finite are an error."""
        ends, first = [], 0
        for block in iterate_blocks(x):
            check_finite(block, first)
            ends.append((block.min(axis=0), block.max(axis=0)))
            first += len(block)
        low, high = zip(*ends, strict=True)
        chosen = np.zeros(len(x), bool)
        rng = np.random.default_rng(derive_seed(0, "training scores"))
        chosen[rng.permutation(len(x))[:SCORED]] = True
        return cls(
            x.shape[1:], names, contamination, np.min(low, 0), np.max(high, 0), sample=x[chosen]
        )

    def conform(self, x: Any, method: str) -> np.ndarray | Rows:
        """New rows with their columns in the order of training, or an error that says why not."""
        names = column_names(x)
        if names is not None and self.names is not None and names != self.names:
            missing = sorted(set(self.names) - set(names))
            extra = sorted(set(names) - set(self.names))
            if missing or extra:
                raise InputError(
                    f"{method} was trained on {len(self.names)} columns; of these are missing: "
                    f"{missing[:10]}; unknown: {extra[:10]}. Give the columns of the training"
                )
            x = x[list(self.names)]
        rows = numeric_rows(x)
        if rows.shape[1:] != self.shape:
            raise InputError(
                f"X has {np.prod(rows.shape[1:], dtype=int)} features, but {method} is expecting "
                f"{np.prod(self.shape, dtype=int)} features as input: it was trained on rows of "
                f"shape {self.shape}, found {rows.shape[1:]}"
            )
        return rows

    def warn_of_far(self, block: np.ndarray, first: int, method: str) -> None:
        """Warn, once, where more than `MANY` rows are far outside; they start at row ``first``."""
        if self.warned or self.low is None:
            return
        width = self.high.astype(float) - self.low
        width = width if width.ndim == 1 else np.full(width.shape, width.max())
        margin = FAR * np.where(width > 0, width, np.maximum(np.abs(self.high), 1))
        low, high = self.low - margin, self.high + margin
        if (block.min(axis=0) >= low).all() and (block.max(axis=0) <= high).all():
            return
        outside = (block < low) | (block > high)
        rows = outside.reshape(len(block), -1).any(axis=1).sum()
        if rows <= MANY * len(block):
            return
        self.warned = True
        row, *column = np.argwhere(outside)[0].tolist()
        place = tuple(column)
        name = f"{column} ({self.names[column[0]]})" if self.names else column
        warnings.warn(
            f"{rows} of {len(block)} rows lie far "
            f"outside those that {method} was trained on: {block[(row, *column)]:g} in row "
            f"{first + row}, column {name}, where training rows have {self.low[place]:g} to "
            f"{self.high[place]:g}; are they scaled alike?",
            UserWarning,
            stacklevel=2,
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; give what the manifest says."""
        arrays: Iterable[tuple[str, Any]] = (
            (name, getattr(self, name)) for name in ("low", "high", "scores")
        )
        np.savez(folder / FILE, **{name: array for name, array in arrays if array is not None})
        return {"names": self.names, "contamination": self.contamination}

    @classmethod
    def load(cls, folder: Path, shape: tuple[int, ...], about: dict[str, Any] | None) -> Self:
        """Undo `save`; models of earlier versions say nothing."""
        if about is None:
            return cls(shape)
        names = None if about["names"] is None else tuple(about["names"])
        arrays = storage.read_arrays(folder / FILE)
        for name in {"low", "high"} & set(arrays):
            if arrays[name].shape != shape:
                raise ValueError(f"range of shape {arrays[name].shape}, rows of {shape}")
        return cls(shape, names, float(about["contamination"]), **arrays)
