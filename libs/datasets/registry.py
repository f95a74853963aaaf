"""The registry of data sets: names, variants, loading. Knows nothing of experiments."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

from libs.datasets.dataset import DataSet
from libs.datasets.tabular.own import OwnTable
from libs.datasets.tabular.schema import Schema
from libs.utils.errors import UserError

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
    "covtype",
    "mammography",
    "census",
    "darknet",
    "doh",
    "url",
    "adbench",
)
"""Each is a module here with ``load(data_path) -> DataSet``. A module that names ``VARIANTS`` takes
one of them as its second argument. One that names the column ``NORMAL_BY`` takes it as the keyword
``normal_by``: the value of a normal row there is then its class."""


ALIASES = {"kdd": "nslkdd", "fmnist": "fashion_mnist"}
"""What the papers' command lines call data sets."""


def load(name: str, data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`, or one of its variants (``doh+week``), or a table of a collection
        (``adbench-thyroid``); a name with ``-sample`` at its end means the same files.
    data_path : path, optional
        Folder of the raw files; see `libs.datasets.readers.files.data_folder`.
    normal_by : str, optional
        The column that divides normal rows into classes. Rows and features stay the same.

    Raises
    ------
    UserError
        If a raw file is missing, truncated, or not as published.
    """
    stem, *variant = re.split("[+-]", name.removesuffix("-sample"), maxsplit=1)
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
    column = getattr(module, "NORMAL_BY", None)
    if normal_by != column:
        raise UserError(
            f"{stem} has no classes of normal rows by {normal_by!r}; expected {column or 'none'}"
        )
    return module.load(data_path, *variant, normal_by=normal_by)


def identity(about: dict[str, Any]) -> str:
    """Key of a description: `reload` returns the same rows for equal keys."""
    own = (about["rules"], about["seed"], about["table"]) if about.get("table") else None
    return json.dumps([about["data_set"], about["fingerprint"], about.get("normal_by"), own])


def reload(
    about: dict[str, Any], data_path: str | Path | None = None, schema: Schema | None = None
) -> DataSet:
    """Load the data that a manifest describes, from where it was.

    Parameters
    ----------
    about : dict
        See `libs.DataHandler.DataHandler.describe`.
    data_path : path, optional
        See `load`.
    schema : Schema, optional
        Of a user's own table, as a model of the same `identity` keeps it.

    Raises
    ------
    UserError
        If the files are missing or have changed.
    """
    if about.get("table"):
        fraction, seed = about["rules"]["test"], about["rules"]["test_seed"]
        seed = about["seed"] if seed is None else seed
        data = OwnTable.from_description(about["table"], data_path).load(fraction, seed, schema)
    else:
        data = load(about["data_set"], data_path, about.get("normal_by"))
    if data.fingerprint != about["fingerprint"]:
        raise UserError(
            f"the raw files of {data.name} are not those that the models were trained on; "
            "name the right folder with --data_path"
        )
    return data
