"""What every loader returns."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from libs.datasets.splits.rows import Rows
from libs.datasets.tabular.schema import Schema


@dataclass(frozen=True)
class DataSet:
    """Rows with class labels, as published: not scaled, not selected.

    Attributes
    ----------
    name : str
        Ends in ``-sample`` if the files hold another number of rows than published.
    x, x_test : (n, ...) float32
        Rows and, if published, the official test rows (else None): arrays, memory-mapped files or
        views of these.
    classes, classes_test : (n,) str
        The class of each row.
    fingerprint : str
        SHA-256 over the source files.
    features : tuple of str
        Names of the columns; empty for images.
    maximum : float, optional
        Known upper end of every feature (images); else features are scaled by their own range.
    normal_by : str, optional
        The column whose values are the classes of the normal rows; see
        `libs.datasets.registry.load`.
    x_val, classes_val : (m, ...) float32 and (m,) str, optional
        Published validation rows; without them a fraction of ``x`` is held out.
    schema : Schema, optional
        How raw columns become features, where that was learned from the rows.
    table : dict, optional
        Description of a user's own table, see `libs.datasets.tabular.own.OwnTable`.
    """

    name: str
    x: np.ndarray | Rows
    classes: np.ndarray
    fingerprint: str
    x_test: np.ndarray | Rows | None = None
    classes_test: np.ndarray | None = None
    features: tuple[str, ...] = ()
    maximum: float | None = None
    normal_by: str | None = None
    x_val: np.ndarray | None = None
    classes_val: np.ndarray | None = None
    schema: Schema | None = None
    table: dict[str, Any] | None = None

    @property
    def is_sample(self) -> bool:
        """Whether the files hold another number of rows than published."""
        return self.name.endswith("-sample")
