"""ADBench's classical tables (Han et al.; NeurIPS 2022): one class of anomalies each."""

import re
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from sklearn.model_selection import train_test_split

from libs.datasets.dataset import DataSet
from libs.datasets.readers import files
from libs.utils import storage
from libs.utils.errors import UserError

SOURCE = "https://github.com/Minqi824/ADBench (adbench/datasets/Classical)"
FOLDER = "adbench"
VARIANTS = tuple(
    """
    ALOI annthyroid backdoor breastw campaign cardio Cardiotocography celeba census cover donors
    fault fraud glass Hepatitis http InternetAds Ionosphere landsat letter Lymphography magic.gamma
    mammography mnist musk optdigits PageBlocks pendigits Pima satellite satimage-2 shuttle skin
    smtp SpamBase speech Stamps thyroid vertebral vowels Waveform WBC WDBC Wilt wine WPBC yeast
    """.split()
)
"""The tables, in the order of their numbers, which are not part of their names."""
TEST = 0.3
TEST_SEED = 42
"""30 % of the rows, stratified as in ADBench, but the same for every seed, so that settings could
be chosen without them."""


def tables(
    data_path: str | Path | None = None, names: Sequence[str] | None = None
) -> Sequence[str]:
    """``names``, or those of all available tables in ADBench's order.

    Raises
    ------
    UserError
        If there is none, or one of ``names`` is not among them.
    """
    folder = files.data_folder(data_path) / FOLDER
    found = {re.sub(r"^\d+_", "", path.stem) for path in folder.glob("*.npz")}
    if not found & set(VARIANTS):
        raise UserError(
            f"no table of ADBench in {folder}: expected files such as 2_annthyroid.npz there, "
            f"from {SOURCE}"
        )
    there = [name for name in VARIANTS if name in found]
    gone = [name for name in names or () if name not in found]
    if gone:
        raise UserError(
            f"no table {gone[0]} of ADBench in {folder}, which holds {', '.join(there)}; more are "
            f"at {SOURCE}"
        )
    return names or there


def load(data_path: str | Path | None, table: str) -> DataSet:
    """Load one table.

    Returns
    -------
    DataSet
        x and x_test (n, d) float32; classes normal and anomaly.

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    number = VARIANTS.index(table) + 1
    path = files.find_file(data_path, f"{FOLDER}/{number}_{table}.npz", SOURCE)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["X"].astype(np.float32), arrays["y"].reshape(-1)
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise UserError(f"{path}: expected arrays X and y ({error}); fetch it again") from error
    if x.ndim != 2 or len(x) != len(y) or not np.isin(y, (0, 1)).all() or not np.isfinite(x).all():
        raise UserError(
            f"{path}: expected X (n, d) of finite numbers and y (n,) of 0 and 1; found X "
            f"{x.shape}, y {y.shape} with values {np.unique(y)[:5].tolist()}; fetch it again"
        )
    train, test = train_test_split(
        np.arange(len(x)), test_size=TEST, stratify=y, random_state=TEST_SEED
    )
    classes = np.where(y == 1, "anomaly", "normal")
    return DataSet(
        name=f"adbench-{table}",
        x=x[np.sort(train)],
        classes=classes[np.sort(train)],
        x_test=x[np.sort(test)],
        classes_test=classes[np.sort(test)],
        features=tuple(f"x{i + 1}" for i in range(x.shape[1])),
        fingerprint=storage.sha256(path),
    )
