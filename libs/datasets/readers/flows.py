"""What the loaders of network flows share: complete rows, one-hot protocols, attack families."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets.readers import files

log = logging.getLogger("a3")


@dataclass(frozen=True)
class Layout:
    """The columns of a flow file.

    Attributes
    ----------
    numbers : list of str
        Columns that become features as they are.
    unused : list of str
        Further columns of the file, which are not used.
    protocols : list of str
        Values of the column Protocol; each becomes a 0/1 column after the numbers.
    families : dict of str to str
        The class of every raw label.
    """

    numbers: list[str]
    unused: list[str]
    protocols: list[str]
    families: dict[str, str]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all features."""
        return (*self.numbers, *(f"Protocol={value}" for value in self.protocols))


@dataclass(frozen=True)
class Block:
    """Complete rows of one block of a file.

    Attributes
    ----------
    x : (n, features) float32
    classes : (n,) str
    read : int
        Rows before any was dropped.
    """

    x: np.ndarray
    classes: np.ndarray
    read: int


def clean_blocks(path: Path, frames: Iterable[pd.DataFrame], layout: Layout) -> Iterator[Block]:
    """Turn blocks of raw rows into features and classes, dropping rows with NaN or Infinity.

    Every label and protocol is checked first, also those of dropped rows. If the frames have a
    column ``date``, it is the class of benign flows.
    """
    width = len(layout.numbers)
    for frame in frames:
        x = np.empty((len(frame), len(layout.features)), np.float32, order="F")
        x[:, :width] = frame[layout.numbers].to_numpy(np.float32)
        x[:, width:] = files.one_hot(frame, "Protocol", layout.protocols, path)
        classes = files.map_labels(frame, "Label", layout.families, path)
        if "date" in frame:
            classes = np.where(classes == "Benign", frame["date"].to_numpy(str), classes)
        complete = np.isfinite(x).all(axis=1)
        if not complete.all():  # by column, as they are stored in memory
            x, classes = x.T.compress(complete, axis=1).T, classes[complete]
        yield Block(x, classes, len(frame))


def log_dropped(path: Path, rows: int, read: int) -> None:
    """Log how many rows were dropped."""
    if rows < read:
        log.info("%s: %d of %d rows dropped: NaN or Infinity", path.name, read - rows, read)


def drop_incomplete(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Drop rows with gaps; the log says how many."""
    kept = frame.dropna()
    log_dropped(path, len(kept), len(frame))
    return kept
