"""Census-Income (KDD) (Lane and Kohavi, 2000): people; an income above 50,000 is an anomaly."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files
from libs.utils import storage

log = logging.getLogger("a3")
SOURCE = "https://archive.ics.uci.edu/dataset/117/census+income+kdd"
FILES = ("census/census-income.data", "census/census-income.test")
PUBLISHED_ROWS = (199_523, 99_762)

COLUMNS = """
age, class of worker, detailed industry recode, detailed occupation recode, education,
wage per hour, enroll in edu inst last wk, marital stat, major industry code,
major occupation code, race, hispanic origin, sex, member of a labor union,
reason for unemployment, full or part time employment stat, capital gains, capital losses,
dividends from stocks, tax filer stat, region of previous residence, state of previous residence,
detailed household and family stat, detailed household summary in household, instance weight,
migration code-change in msa, migration code-change in reg, migration code-move within reg,
live in this house 1 year ago, migration prev res in sunbelt, num persons worked for employer,
family members under 18, country of birth father, country of birth mother, country of birth self,
citizenship, own business or self employed, fill inc questionnaire for veteran's admin,
veterans benefits, weeks worked in year, year, income
"""
_COLUMNS = [" ".join(name.split()) for name in COLUMNS.split(",")]
_WEIGHT = "instance weight"
NUMBERS = [_COLUMNS[i] for i in (0, 5, 16, 17, 18, 30, 39)]
TEXT = [c for c in _COLUMNS if c not in (*NUMBERS, _WEIGHT, "income")]
INCOME = {"- 50000.": "", "50000+.": "Anomalous"}
SEX = {"Male": "Male", "Female": "Female"}


def load(data_path: str | Path | None = None) -> DataSet:
    """Load training and test file, plain or gzipped.

    Text becomes a 0/1 column for each value of the training file; "?" is a value. For a value that
    only the test file has all its columns are 0, and the log counts such rows. The instance weight
    is dropped, as the official documentation recommends.

    Returns
    -------
    DataSet
        x (199523, n) and x_test (99762, n) float32; classes Male, Female (who earn less) and
        Anomalous.
    """
    paths = [files.find_file(data_path, name, SOURCE) for name in FILES]
    train, test = (_read(path) for path in paths)
    values = {column: sorted(train[column].unique()) for column in TEXT}
    new = ~np.logical_and.reduce([test[c].isin(known) for c, known in values.items()])
    if new.any():
        log.info("%s: %d rows with a value that training rows lack", paths[1].name, new.sum())
    complete = (len(train), len(test)) == PUBLISHED_ROWS
    return DataSet(
        name="census" if complete else "census-sample",
        x=_encode(train, values),
        classes=_classes(train, paths[0]),
        x_test=_encode(test, values),
        classes_test=_classes(test, paths[1]),
        features=(*NUMBERS, *(f"{c}={value}" for c in TEXT for value in values[c])),
        fingerprint="".join(storage.sha256(path)[:32] for path in paths),
    )


def _read(path: Path) -> pd.DataFrame:
    return blocks.read_table(path, [*NUMBERS, _WEIGHT], [*TEXT, "income"], columns=_COLUMNS)


def _encode(frame: pd.DataFrame, values: dict[str, list[str]]) -> np.ndarray:
    """Numbers, then 0/1 columns of the listed values, (n, features) float32."""
    x = np.zeros((len(frame), len(NUMBERS) + sum(map(len, values.values()))), np.float32)
    x[:, : len(NUMBERS)] = frame[NUMBERS]
    first = len(NUMBERS)
    for column, known in values.items():
        codes = pd.Index(known).get_indexer(frame[column])
        rows = np.flatnonzero(codes >= 0)
        x[rows, first + codes[rows]] = 1
        first += len(known)
    return x


def _classes(frame: pd.DataFrame, path: Path) -> np.ndarray:
    sex = files.map_labels(frame, "sex", SEX, path)
    return np.where(
        files.map_labels(frame, "income", INCOME, path) == "Anomalous", "Anomalous", sex
    )
