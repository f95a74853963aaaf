"""What the loaders of network flows share: complete rows, one-hot protocols, attack families."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets import files

log = logging.getLogger("a3")


@dataclass(frozen=True)
class Layout:
    """The columns of a flow file.

    Attributes
    ----------
    numbers : list of str
        Columns that become features as they are.
    unused : list of str
        Columns that a file may hold as well and that are no features.
    protocols : list of str
        Values of the column Protocol; each becomes a 0/1 column behind the others.
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


def gather(
    path: Path, frames: Iterable[pd.DataFrame], layout: Layout
) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Turn blocks of raw rows into features and classes.

    Rows with NaN or Infinity are dropped, and the log says how many. Every label and protocol is
    checked first, those of dropped rows too.

    Returns
    -------
    x, classes : list of (n, features) float32, list of (n,) str
    read : int
        Rows before any was dropped.
    """
    x, classes, read = [], [], 0
    for frame in frames:
        numbers = frame[layout.numbers].to_numpy(np.float32)
        complete = np.isfinite(numbers).all(axis=1)
        hot = files.one_hot(frame, "Protocol", layout.protocols, path)
        x.append(np.hstack([numbers, hot])[complete])
        classes.append(files.mapped(frame, "Label", layout.families, path)[complete])
        read += len(frame)
    dropped = read - sum(map(len, x))
    if dropped:
        log.info("%s: %d of %d rows dropped: NaN or Infinity", path.name, dropped, read)
    return x, classes, read


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Join arrays along the rows; empties the list on the way, so that no row is held twice."""
    widest = max((part.dtype for part in parts), key=lambda dtype: dtype.itemsize)
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), widest)
    end = len(whole)
    while parts:
        part = parts.pop()
        whole[end - len(part) : end] = part
        end -= len(part)
    return whole
