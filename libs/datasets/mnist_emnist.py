"""Digits of MNIST and letters of EMNIST in one data set: letters are anomalies among digits."""

from pathlib import Path

import numpy as np

from libs.datasets import emnist, mnist
from libs.datasets.dataset import DataSet


def load(data_path: str | Path | None = None) -> DataSet:
    """Load both and join their training parts and their official test parts.

    Returns
    -------
    DataSet
        x (184800, 28, 28, 1) and x_test (30800, 28, 28, 1) in [0, 255]; classes "0" to "9" and
        "A" to "Z". A sample where one of the two is.
    """
    digits, letters = mnist.load(data_path), emnist.load(data_path)
    complete = (digits.name, letters.name) == ("mnist", "emnist")
    return DataSet(
        name="mnist_emnist" if complete else "mnist_emnist-sample",
        x=np.concatenate([digits.x, letters.x]),
        classes=np.concatenate([digits.classes, letters.classes]),
        x_test=np.concatenate([digits.x_test, letters.x_test]),
        classes_test=np.concatenate([digits.classes_test, letters.classes_test]),
        fingerprint=digits.fingerprint[:32] + letters.fingerprint[:32],
        maximum=255.0,
    )
