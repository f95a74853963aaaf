"""What every loader returns."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DataSet:
    """Rows with class labels, as published: not scaled, not selected.

    Attributes
    ----------
    name : str
        Ends in ``-sample`` if the files hold another number of rows than published.
    x, x_test : (n, ...) float32
        Rows and, if published, the official test rows (else None); arrays or memory-mapped files.
    classes, classes_test : (n,) str
        The class of each row.
    features : tuple of str
        Names of the columns; empty for images.
    fingerprint : str
        SHA-256 over the source files.
    maximum : float, optional
        Known upper end of every feature (images); else features are scaled by their own range.
    normal_by : str, optional
        The column whose values are the classes of the normal rows; see `libs.datasets.load`.
    """

    name: str
    x: np.ndarray
    classes: np.ndarray
    x_test: np.ndarray | None
    classes_test: np.ndarray | None
    features: tuple[str, ...]
    fingerprint: str
    maximum: float | None = None
    normal_by: str | None = None

    @property
    def is_sample(self) -> bool:
        """Whether the files hold another number of rows than published."""
        return self.name.endswith("-sample")
