"""Whole tables under a header, of which rows with gaps are left out."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets.readers import blocks, flows


def read_headed(
    path: Path,
    numbers: list[str],
    text: list[str],
    unused: Collection[str] = (),
    gaps: bool = False,
) -> pd.DataFrame:
    """Read all rows of a comma-separated file with a header.

    Parameters
    ----------
    path, numbers, text, unused
        See `libs.datasets.readers.blocks.read_blocks`.
    gaps : bool
        Whether a number may be missing, NaN or infinite; infinite ones become NaN.

    Returns
    -------
    DataFrame
        The columns ``numbers`` and ``text``; the index holds the rows' numbers in the file.
    """
    frame = pd.concat(blocks.read_blocks(path, numbers, text, unused, gaps))
    return frame.replace([np.inf, -np.inf], np.nan) if gaps else frame


def complete(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Drop rows with gaps; the log says how many."""
    kept = frame.dropna()
    flows.log_dropped(path, len(kept), len(frame))
    return kept
