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
    "kdd99",
    "creditcard",
    "ids",
    "ids2017",
)
"""Each is a module here with ``load(data_path) -> DataSet``. A module that names ``VARIANTS`` takes
one of them as its second argument."""
NORMAL_BY = {"nslkdd": ("protocol_type",)}
"""Columns by which a data set's normal rows can be told apart into classes of their own. Its
``load`` takes ``normal_by``."""


def load(name: str, data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`, or one of its variants (``kdd99+41``); a name with ``-sample`` at its
        end means the same files.
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
    stem, *variant = name.removesuffix("-sample").split("+", 1)
    if stem not in DATA_SETS:
        raise UserError(f"unknown data set {name!r}; expected one of {', '.join(DATA_SETS)}")
    module = importlib.import_module(f"libs.datasets.{stem}")
    variants = getattr(module, "VARIANTS", ())
    if variant and variant[0] not in variants:
        raise UserError(
            f"unknown data set {name!r}: the variants of {stem} are {', '.join(variants) or 'none'}"
        )
    if normal_by is None:
        return module.load(data_path, *variant)
    if normal_by not in NORMAL_BY.get(stem, ()):
        raise UserError(
            f"{stem} tells no normal rows apart by {normal_by!r}; expected one of "
            f"{', '.join(NORMAL_BY.get(stem, ())) or 'none'}"
        )
    return module.load(data_path, *variant, normal_by=normal_by)
