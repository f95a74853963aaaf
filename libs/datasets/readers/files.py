"""Finding and opening raw files and decoding their text; errors name the position."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from libs.utils.errors import UserError, shorten


def data_folder(data_path: str | Path | None) -> Path:
    """The folder of raw data: the argument, else ``$A3_DATA``, else ``data``."""
    return Path(data_path or os.environ.get("A3_DATA") or "data")


def find_optional(data_path: str | Path | None, name: str) -> Path | None:
    """Path of a raw file or of its gzipped form below the folder; None if there is neither."""
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
        Where to get the file, for the error message.
    """
    path = find_optional(data_path, name)
    if path is None:
        expected = data_folder(data_path) / name
        raise UserError(
            f"raw file not found: expected {expected} or {expected}.gz. Get it from "
            f"{source}, put it there, or name its folder with --data_path or the environment "
            "variable A3_DATA."
        )
    return path


def open_bytes(path: Path) -> BinaryIO:
    """Open the content of a plain or gzipped file."""
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")


@contextmanager
def name_damage(path: Path) -> Iterator[None]:
    """Turn the exceptions of reading a truncated or damaged file into a UserError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}). Get the file again.") from error


def one_hot(frame: pd.DataFrame, column: str, categories: Sequence[str], path: Path) -> np.ndarray:
    """One 0/1 column for each of a fixed list of categories, float32 (n, categories).

    As in `map_labels`, the index of ``frame`` is named "line" or "row" and gives the position of
    each row in the file, for error messages.
    """
    codes = pd.Index(categories).get_indexer(frame[column])
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        row = int(unknown[0])
        raise UserError(
            f"{path}, {frame.index.name} {frame.index[row]}, column {column!r}: expected one of "
            f"{len(categories)} values ({', '.join(categories[:5])}, ...), found "
            f"{shorten(frame[column].iloc[row])}."
        )
    return np.eye(len(categories), dtype=np.float32)[codes]


def map_labels(frame: pd.DataFrame, column: str, classes: dict[str, str], path: Path) -> np.ndarray:
    """Map raw labels to classes; an unknown label is an error."""
    mapped_labels = frame[column].map(classes)
    missing = np.flatnonzero(mapped_labels.isna())
    if len(missing):
        row = int(missing[0])
        raise UserError(
            f"{path}, {frame.index.name} {frame.index[row]}, column {column!r}: unknown label "
            f"{shorten(frame[column].iloc[row])}; expected one of {', '.join(sorted(classes))}."
        )
    return mapped_labels.to_numpy(dtype=str)
