"""Credit card fraud (Dal Pozzolo et al., 2015): 29 features of card payments, 0.17 % fraud."""

from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files
from libs.utils import storage

SOURCE = "https://www.kaggle.com/datasets/mlg-ulb/creditcardfraud"
FILE = "creditcard/creditcard.csv"
PUBLISHED_ROWS = 284_807

FEATURES = [*(f"V{i}" for i in range(1, 29)), "Amount"]
CLASSES = {"0": "0", "1": "1"}


def load(data_path: str | Path | None = None) -> DataSet:
    """Load the payments, plain or gzipped; there is no official test split.

    Time, the seconds since the first payment of the file, is dropped.

    Returns
    -------
    DataSet
        x (284807, 29) float32; classes "0" (genuine) and "1" (fraud).
    """
    path = files.find_file(data_path, FILE, SOURCE)
    frame = blocks.read_table(path, FEATURES, ["Class"], unused=["Time"])
    return DataSet(
        name="creditcard" if len(frame) == PUBLISHED_ROWS else "creditcard-sample",
        x=frame[FEATURES].to_numpy(np.float32),
        classes=files.map_labels(frame, "Class", CLASSES, path),
        features=tuple(FEATURES),
        fingerprint=storage.sha256(path),
    )
