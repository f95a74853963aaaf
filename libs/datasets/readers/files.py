"""Finding and reading raw files, with errors that name the place."""

import csv
import gzip
import os
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
import pandas as pd

from libs.utils.errors import UserError


def data_folder(data_path: str | Path | None) -> Path:
    """The folder of raw data: the argument, else ``$A3_DATA``, else ``data``."""
    return Path(data_path or os.environ.get("A3_DATA") or "data")


def present(data_path: str | Path | None, name: str) -> Path | None:
    """Path of a raw file or of its gzipped form below the folder; None where there is neither."""
    folder = data_folder(data_path)
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def find_file(data_path: str | Path | None, name: str, source: str) -> Path:
    """Path of a raw file or of its gzipped form.

    Parameters
    ----------
    data_path : path, optional
        See `data_folder`.
    name : str
        Path below the folder.
    source : str
        Where to get the file; part of the error message.
    """
    path = present(data_path, name)
    if path is None:
        expected = data_folder(data_path) / name
        raise UserError(
            f"raw file not found: expected {expected} or {expected}.gz. Get it from "
            f"{source}, put it there, or name its folder with --data_path or the environment "
            "variable A3_DATA."
        )
    return path


def open_text(path: Path) -> TextIO:
    """Open a plain or gzipped file of text."""
    return (gzip.open if path.suffix == ".gz" else open)(path, "rt", newline="")


def open_bytes(path: Path) -> BinaryIO:
    """Open the content of a plain or gzipped file."""
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading a truncated or damaged file raises into a UserError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}). Get the file again.") from error


def read_table(path: Path, columns: Sequence[str], text: Collection[str]) -> pd.DataFrame:
    """Read comma-separated rows without a header.

    Parameters
    ----------
    path : Path
        Plain or gzipped.
    columns : sequence of str
        Every column, in order.
    text : collection of str
        Columns that hold text; all others must hold finite numbers and become float32.

    Raises
    ------
    UserError
        Names the file and, where there is one, the first bad row (from 1) and its column.
    """
    numbers = [c for c in columns if c not in text]
    types = {c: str if c in text else np.float32 for c in columns}
    options = {"header": None, "names": list(columns), "index_col": False, "skipinitialspace": True}
    with damage_named(path):
        _check_widths(path, len(columns), rows=1)
        try:
            gaps = dict.fromkeys(columns, "")
            frame = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=gaps, **options)
            good = np.isfinite(frame[numbers].to_numpy()).all() and not frame.isna().any(axis=None)
        except ValueError:  # wrong number of columns, or text among numbers: which is found below
            good = False
        if not good:
            _check_widths(path, len(columns))
            as_text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[], **options)
            raise bad_cell(_numbered(as_text), numbers, path)
    return _numbered(frame)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """Let the index be the rows of the file, from 1."""
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1))


def _check_widths(path: Path, columns: int, rows: int | None = None) -> None:
    """Raise a UserError that names the first row (of the first ``rows``) of another width."""
    with open_text(path) as file:
        row = 0
        for row, cells in enumerate(islice(csv.reader(file), rows), start=1):
            if len(cells) != columns:
                raise UserError(
                    f"{path}, row {row}: expected {columns} columns, found {len(cells)}. "
                    "Get the file again."
                )
    if not row:
        raise UserError(f"{path} is empty: expected rows of {columns} columns.")


def bad_cell(frame: pd.DataFrame, numbers: Sequence[str], path: Path) -> UserError:
    """The error that names the first bad cell of rows read as text.

    Parameters
    ----------
    frame : DataFrame of str
        Its index holds the rows' numbers in the file.
    numbers : sequence of str
        Columns that must hold finite numbers; the others must not be empty.
    path : Path
    """
    values = frame[numbers].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = np.argwhere(~np.isfinite(values) | (np.abs(values) > np.finfo(np.float32).max))
    if len(bad):
        row, column, expected = int(bad[0][0]), numbers[bad[0][1]], "a finite number"
    else:
        row, column = np.argwhere((frame == "").to_numpy())[0].tolist()
        column, expected = frame.columns[column], "text"
    return UserError(
        f"{path}, row {frame.index[row]}, column {column!r}: expected {expected}, found "
        f"{frame[column].iloc[row]!r}. Get the file again, or correct that row."
    )


def one_hot(frame: pd.DataFrame, column: str, categories: Sequence[str], path: Path) -> np.ndarray:
    """One 0/1 column for each of a fixed list of categories, float32 (n, categories).

    As in `mapped`, the index of ``frame`` holds the rows' numbers in the file, for errors.
    """
    codes = pd.Index(categories).get_indexer(frame[column])
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        row = int(unknown[0])
        raise UserError(
            f"{path}, row {frame.index[row]}, column {column!r}: expected one of "
            f"{len(categories)} values ({', '.join(categories[:5])}, ...), found "
            f"{frame[column].iloc[row]!r}."
        )
    return np.eye(len(categories), dtype=np.float32)[codes]


def mapped(frame: pd.DataFrame, column: str, classes: dict[str, str], path: Path) -> np.ndarray:
    """The class of each row by its raw label; a label that the map lacks is an error."""
    mapped_labels = frame[column].map(classes)
    missing = np.flatnonzero(mapped_labels.isna())
    if len(missing):
        row = int(missing[0])
        raise UserError(
            f"{path}, row {frame.index[row]}, column {column!r}: unknown label "
            f"{frame[column].iloc[row]!r}; expected one of {', '.join(sorted(classes))}."
        )
    return mapped_labels.to_numpy(dtype=str)
