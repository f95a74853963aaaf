"""Data sets: where the file is, which columns, which classes. Knows nothing of experiments."""

import importlib
from pathlib import Path

from libs.datasets.dataset import DataSet
from libs.errors import UserError

DATA_SETS = (
    "digits",
    "mnist",
    "fashion_mnist",
    "emnist",
    "mnist_emnist",
    "nslkdd",
    "creditcard",
    "ids",
    "ids2017",
)
"""Each is a module here with ``load(data_path) -> DataSet``."""
NORMAL_BY = {"nslkdd": ("protocol_type",)}
"""Columns by which a data set's normal rows can be told apart into classes of their own. Its
``load`` takes ``normal_by``."""


def load(name: str, data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`; a name with ``-sample`` at its end means the same files.
    data_path : path, optional
        Folder of the raw files; see `libs.datasets.files.data_folder`.
    normal_by : str, optional
        One of its columns in `NORMAL_BY`: the values of a normal row there become its class. The
        rows and their features stay the same.

    Raises
    ------
    UserError
        If a raw file is missing, truncated, or not as published.
    """
    stem = name.removesuffix("-sample")
    if stem not in DATA_SETS:
        raise UserError(f"unknown data set {name!r}; expected one of {', '.join(DATA_SETS)}")
    load_it = importlib.import_module(f"libs.datasets.{stem}").load
    if normal_by is None:
        return load_it(data_path)
    if normal_by not in NORMAL_BY.get(stem, ()):
        raise UserError(
            f"{stem} tells no normal rows apart by {normal_by!r}; expected one of "
            f"{', '.join(NORMAL_BY.get(stem, ())) or 'none'}"
        )
    return load_it(data_path, normal_by=normal_by)
