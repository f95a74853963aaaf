"""Rows, labels and classes as detectors take them; what they cannot take is a clear error."""

from typing import Any

import numpy as np
from sklearn import exceptions
from sklearn.utils import check_array

from libs.datasets.splits.rows import Rows, as_rows
from libs.utils.errors import UserError


class InputError(UserError, ValueError):
    """Rows, labels or classes that a detector cannot take; a ValueError, as in scikit-learn."""


class NotFittedError(UserError, exceptions.NotFittedError):
    """What `fit` or `calibrate` must come before; as scikit-learn's, ``hasattr`` says False."""


def numeric_rows(x: Any) -> np.ndarray | Rows:
    """Rows as a non-empty float32 array of two or more axes; large ones as a view."""
    plain = isinstance(x, (np.ndarray, Rows)) and x.dtype.kind in "fiu"
    if plain and len(x.shape) >= 2 and 0 not in x.shape:
        return as_rows(x)
    try:
        x = check_array(x, dtype="numeric", allow_nd=True, ensure_all_finite=False)
    except (TypeError, ValueError) as error:
        found = f"shape {np.shape(x)} of {getattr(x, 'dtype', type(x).__name__)}"
        raise InputError(
            f"expected numeric rows, an array (n, features...) with n > 0; found {found} ({error})"
        ) from error
    return as_rows(x)


def column_names(x: Any) -> tuple[str, ...] | None:
    """Names of a DataFrame's columns; None if they are no texts, or ``x`` is none."""
    names = tuple(getattr(x, "columns", ()))
    if not names or not all(isinstance(name, str) for name in names):
        return None
    if len(set(names)) < len(names):
        raise InputError(f"expected each column once, found two of one name among {names}")
    return names


def check_finite(block: np.ndarray, first: int) -> None:
    """Raise an InputError that names the first bad value; ``first`` is the block's first row."""
    if not np.isfinite(block).all():
        row, *column = np.argwhere(~np.isfinite(block))[0].tolist()
        raise InputError(
            f"expected finite numbers, found {block[(row, *column)]} in row {first + row}, column "
            f"{column}; remove or impute NaN and inf"
        )


def checked_labels(y: np.ndarray | None, n: int) -> np.ndarray:
    """Labels as an (n,) array of 0 and 1 with at least one 0; without labels all are 0."""
    y = np.zeros(n, np.int32) if y is None else np.asarray(y).reshape(-1)
    if len(y) != n or not np.isin(y, (0, 1)).all():
        raise InputError(
            f"labels: expected {n} values, 0 (normal) or 1 (known anomaly); "
            f"found {len(y)} values among {np.unique(y.astype(str))[:5].tolist()}"
        )
    if not (y == 0).any():
        raise InputError("no normal row to learn from: expected at least one label 0")
    return y.astype(np.int32)


def checked_classes(classes: np.ndarray | None, n: int) -> np.ndarray | None:
    """Classes as an (n,) array of str; None where there are none."""
    if classes is None:
        return None
    classes = np.asarray(classes)
    if classes.shape != (n,):
        raise InputError(
            f"classes: expected one for each of the {n} rows, found shape {classes.shape}"
        )
    return classes.astype(str)


def checked_fraction(name: str, value: float) -> float:
    """A number between 0 and 1."""
    if not 0 < value < 1:
        raise InputError(f"{name} {value}: expected a fraction between 0 and 1")
    return float(value)
