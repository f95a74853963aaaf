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
    "covtype",
    "mammography",
    "census",
    "darknet",
    "doh",
    "url",
)
"""Each is a module here with ``load(data_path) -> DataSet``."""
NORMAL_BY = {
    "nslkdd": "protocol_type",
    "darknet": "Protocol",
    "doh": "week",
    "url": "ldl_domain",
}
"""The column by which normal rows can be told apart into classes; ``load`` takes ``normal_by``."""
EXTRA = {"doh": "week"}
"""A feature made for such classes, which is no input unless asked for; ``load`` takes ``extra``."""


def load(name: str, data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`. ``doh+week`` has the feature week of `EXTRA` among its inputs; with
        ``-sample`` at its end a name means the same files.
    data_path : path, optional
        Folder of the raw files; see `libs.datasets.files.data_folder`.
    normal_by : str, optional
        The data set's column in `NORMAL_BY`: the value of a normal row there becomes its class.
        Rows and features stay the same.

    Raises
    ------
    UserError
        If a raw file is missing, truncated, or not as published.
    """
    stem, _, extra = name.removesuffix("-sample").partition("+")
    if stem not in DATA_SETS or (extra and EXTRA.get(stem) != extra):
        raise UserError(f"unknown data set {name!r}; expected one of {', '.join(DATA_SETS)}")
    if normal_by and NORMAL_BY.get(stem) != normal_by:
        raise UserError(
            f"{stem} has no classes of normal rows by {normal_by!r}; expected "
            f"{NORMAL_BY.get(stem, 'none')}"
        )
    variant = {"normal_by": normal_by, "extra": extra}
    module = importlib.import_module(f"libs.datasets.{stem}")
    return module.load(data_path, **{key: value for key, value in variant.items() if value})
