"""Cells of a column as numbers or as text."""

import numpy as np
import polars as pl

from libs.datasets.tabular.reading import Block
from libs.utils.errors import UserError

GAPS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none")
"""What a missing number may be written as; of text only the empty one is missing."""
LARGEST = 1e38
"""Differences of numbers up to this size are float32, too."""
DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T]\d{1,2}:\d{2}.*)?$"
DECIMAL_COMMA = r"^-?\d+,\d+$"


def as_text(series: pl.Series) -> pl.Series:
    """Text without blanks around it, empty where it is missing; whole numbers without a point."""
    if series.dtype != pl.Float64:
        return series.str.strip_chars()
    values = series.fill_nan(None)
    whole = (values == values.round()) & (values.abs() < 2**53)
    words = values.cast(pl.String)
    counts = values.set(~whole.fill_null(False), 0.0).cast(pl.Int64).cast(pl.String)
    return counts.zip_with(whole.fill_null(False), words).fill_null("")


def as_numbers(series: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Numbers of a column.

    Returns
    -------
    values : Series of Float64
        Null where a number is missing or there is none.
    strange : (m,) int
        Rows that hold something that is neither a number nor missing.
    """
    if series.dtype == pl.Float64:
        return series.fill_nan(None), np.empty(0, int)
    text = series.str.strip_chars()
    values = text.cast(pl.Float64, strict=False).fill_nan(None)
    rows = values.is_null().arg_true()
    missing = text.gather(rows).str.to_lowercase().is_in(GAPS)
    return values, rows.filter(~missing).to_numpy()


def number_error(
    values: pl.Series, strange: np.ndarray, block: Block, name: str
) -> UserError | None:
    """The error for the first cell of a column that is text, too large for float32, or infinite.

    Parameters
    ----------
    values, strange
        What `as_numbers` gave.
    """
    rows = strange if len(strange) else (values.abs() > LARGEST).arg_true()
    if not len(rows):
        return None
    row = int(rows[0])
    expected = "a number" if len(strange) else f"a number of at most {LARGEST:g}"
    return UserError(
        f"{block.place(name, row)}: expected {expected}, found {block.frame[name][row]!r}. Correct "
        "it, leave that row out, or leave the cell empty and train with --missing median."
    )
