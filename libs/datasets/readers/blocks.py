"""Published comma-separated files, read in blocks so that memory stays bounded."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from libs.datasets.readers import delimited, files
from libs.utils.errors import UserError, shorten

GAPS = ("", "nan")
"""Spellings of a missing number, in lower case."""


def read_blocks(
    path: Path,
    numbers: Sequence[str],
    text: Sequence[str],
    unused: Collection[str] = (),
    gaps: bool = False,
    columns: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file in blocks, without blank lines and repetitions of the header.

    Parameters
    ----------
    path : Path
        Plain or gzipped.
    numbers, text : sequence of str
        Columns that are read, as float32 and as text; the header must name each of them.
    unused : collection of str
        Other columns that the header may name; any further one is an error.
    gaps : bool
        Accept missing, NaN or infinite numbers and empty text; the caller drops such rows.
    columns : sequence of str, optional
        Every column, in order, of a file without a header.

    Yields
    ------
    DataFrame
        The columns ``numbers`` and ``text``; the index holds the lines of the file, from 1.

    Raises
    ------
    UserError
        Names the file and, where there is one, the first bad row and its column.
    """
    head, found, source = None, 0, str(path)
    with files.name_damage(path), files.open_bytes(path) as file:
        for lines in delimited.split(file, source):
            if columns is None:
                head = next(iter(lines)).strip()
                columns = _number_duplicates(delimited.parse_header(head))
                _check_header(path, columns, {*numbers, *text}, set(unused))
            if head and head in lines.content:
                lines = lines.select(np.array([row.strip() != head for row in lines]))
            if len(lines):
                yield _frame(path, lines, columns, numbers, text, gaps)
                found += len(lines)
    if columns is None:
        _check_header(path, [], {*numbers, *text}, set(unused))
    if not found:
        raise UserError(
            f"{path} is empty, it holds no rows: expected rows of {len(columns)} columns."
        )


def read_table(path: Path, *columns: Collection[str], **options: Any) -> pd.DataFrame:
    """Read all rows of a file; arguments as for `read_blocks`. Infinite numbers become NaN."""
    return pd.concat(read_blocks(path, *columns, **options)).replace([np.inf, -np.inf], np.nan)


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Append .1 to the second of two equal names, as pandas does."""
    seen: Counter[str] = Counter()
    apart = []
    for name in names:
        apart.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return apart


def _check_header(path: Path, found: list[str], expected: set[str], unused: set[str]) -> None:
    missing, foreign = expected - set(found), set(found) - expected - unused
    if missing or foreign:
        raise UserError(
            f"{path}, line 1: expected a header with the {len(expected)} published columns, found "
            f"{len(found)}; missing: {', '.join(sorted(missing)) or 'none'}; unknown: "
            f"{', '.join(sorted(foreign)) or 'none'}. Get the file again."
        )


def _frame(
    path: Path,
    lines: delimited.Lines,
    columns: Sequence[str],
    numbers: Sequence[str],
    text: Sequence[str],
    gaps: bool,
) -> pd.DataFrame:
    """Parse and check the wanted columns of rows."""
    cells = delimited.parse(lines, columns, [*numbers, *text], str(path))
    plain = cells.select(pl.col(numbers).str.strip_chars())
    words = cells.select(pl.col(text).str.strip_chars_start(" "))
    x = plain.cast(pl.Float32, strict=False).to_numpy()
    if gaps:
        bad = np.isnan(x)
        if bad.any():
            bad &= ~plain.select(pl.all().str.to_lowercase().is_in(GAPS)).to_numpy()
    else:
        bad = ~np.isfinite(x)
    empty = (words == "").to_numpy() & (not gaps)
    for found, is_bad, expected in ((plain, bad, "a finite number"), (words, empty, "text")):
        if is_bad.any():
            row, column = np.argwhere(is_bad)[0].tolist()
            name = found.columns[column]
            raise UserError(
                f"{path}, line {lines.numbers[row]}, column {name!r}: expected {expected}, found "
                f"{shorten(found[name][row])}. Get the file again, or correct that row."
            )
    frame = pd.DataFrame(x, columns=list(numbers), copy=False)
    for column in words:
        names = column.unique().sort()
        codes = column.cast(pl.Enum(names)).to_physical().to_numpy()
        frame[column.name] = pd.Categorical.from_codes(codes, names.to_list())
    return frame.set_axis(pd.Index(lines.numbers, name="line"))
