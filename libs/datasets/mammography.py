"""Mammography (Woods et al., 1993; ODDS): six features of spots, 2.3 % microcalcifications."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from libs.datasets.dataset import DataSet
from libs.datasets.readers import files, images
from libs.utils import storage
from libs.utils.errors import UserError

SOURCE = "https://odds.cs.stonybrook.edu/mammography-dataset/"
FILE = "mammography/mammography.mat"
PUBLISHED_ROWS = 11_183
FEATURES = tuple(f"feature {i}" for i in range(1, 7))


def load(data_path: str | Path | None = None) -> DataSet:
    """Load the spots; there is no official test split. Values are standardised by the source.

    Returns
    -------
    DataSet
        x (11183, 6) float32; classes "0" and "1" (microcalcification).
    """
    path = files.find_file(data_path, FILE, SOURCE)
    x, y = _read(path)
    return DataSet(
        name="mammography" if len(x) == PUBLISHED_ROWS else "mammography-sample",
        x=x.astype(np.float32),
        classes=np.where(y == 1, "1", "0"),
        features=FEATURES,
        fingerprint=storage.sha256(path),
    )


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Checked arrays: x (n, 6), y (n,) of 0 and 1."""
    try:
        content = loadmat(path)
        x, y = np.asarray(content["X"], float), np.asarray(content["y"], float).reshape(-1)
    except (*images.DAMAGE, MatReadError, NotImplementedError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} is truncated or damaged, or not ODDS' file: expected the arrays X and y "
            f"({type(error).__name__}: {error}). Get the file again from {SOURCE}."
        ) from error
    if x.ndim != 2 or x.shape[1] != len(FEATURES) or len(x) != len(y) or not len(x):
        raise UserError(
            f"{path}: expected X (n, {len(FEATURES)}) and y (n,), found {x.shape} and {y.shape}. "
            "Get the file again."
        )
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0].tolist()
        raise UserError(
            f"{path}, row {row + 1}, column {FEATURES[column]!r}: expected a finite number, found "
            f"{x[row, column]}. Get the file again."
        )
    strange = np.flatnonzero(~np.isin(y, (0, 1)))
    if len(strange):
        raise UserError(
            f"{path}, row {strange[0] + 1}, column 'y': unknown label {y[strange[0]]:g}; expected "
            "0 or 1. Get the file again."
        )
    return x, y
