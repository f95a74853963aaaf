"""Handwritten digits (Alpaydin and Kaynak, 1998): 1,797 images that come with scikit-learn."""

import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from libs.datasets.dataset import DataSet


def load(data_path: str | Path | None = None) -> DataSet:
    """Load the digits; there is no file and no official test split.

    Returns
    -------
    DataSet
        x (1797, 8, 8, 1) in [0, 16]; classes "0" to "9".
    """
    raw = load_digits()
    x = raw.images.astype(np.float32)[..., None]
    digest = hashlib.sha256(x.tobytes() + raw.target.astype(np.int8).tobytes()).hexdigest()
    return DataSet(
        name="digits",
        x=x,
        classes=raw.target.astype(str),
        fingerprint=digest,
        maximum=16.0,
    )
