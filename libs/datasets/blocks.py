"""Comma-separated rows under a header, read block by block, so that memory stays bounded."""

import csv
import io
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from libs.datasets import files
from libs.errors import UserError

BYTES = 32 * 2**20
"""Size of one block: the lines that it takes to fill it."""
GAPS = ["", "NaN", "nan"]
INFINITE = ["Infinity", "-Infinity", "inf", "-inf"]


def ahead(items: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same items; a thread makes the next one while the caller works on the last."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def read_blocks(
    path: Path,
    numbers: list[str],
    text: list[str],
    unused: Collection[str] = (),
    gaps: bool = False,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file with a header, in blocks.

    Blank lines and repetitions of the header are left out. Cells may be quoted but hold no comma.

    Parameters
    ----------
    path : Path
        Plain or gzipped.
    numbers, text : list of str
        Columns that are read, as float32 and as text; the header must name each of them.
    unused : collection of str
        Columns that the header may name as well; any other is an error.
    gaps : bool
        Whether a number may be missing, NaN or infinite; such rows are for the caller to drop.

    Yields
    ------
    DataFrame
        The columns ``numbers`` and ``text``; the index holds the rows' numbers in the file, of
        which the first header is row 1.

    Raises
    ------
    UserError
        Names the file and, where there is one, the first bad row and its column.
    """
    with files.damage_named(path), files.open_bytes(path) as file:
        head = file.readline().strip()
        columns = _told_apart(next(csv.reader([head.decode()]), []))
        _check_header(path, columns, {*numbers, *text}, set(unused))
        start, found = 2, 0
        while lines := file.readlines(BYTES):
            rows = [i for i, line in enumerate(lines) if line.strip() not in (b"", head)]
            if rows:
                kept, places = [lines[i] for i in rows], [start + i for i in rows]
                frame = _fast(kept, columns, numbers, text, gaps)
                if frame is None:
                    kept = [line.decode() for line in kept]
                    _check_widths(path, kept, places, len(columns))
                    frame = _careful(path, kept, places, columns, numbers, text, gaps)
                yield frame.set_axis(places)
            start, found = start + len(lines), found + len(rows)
    if not found:
        raise UserError(f"{path} holds no rows: expected rows of {len(columns)} columns.")


def _told_apart(names: list[str]) -> list[str]:
    """Names without blanks; the second of two equal ones has .1 at its end, as in pandas."""
    names = [name.strip() for name in names]
    return [f"{n}.{names[:i].count(n)}" if n in names[:i] else n for i, n in enumerate(names)]


def _fast(
    lines: list[bytes], columns: list[str], numbers: list[str], text: list[str], gaps: bool
) -> pd.DataFrame | None:
    """Parse lines by polars; None if there is anything strange about them."""
    content = b"".join(lines).replace(b'"', b"")
    commas = np.count_nonzero(np.frombuffer(content, np.uint8) == ord(","))
    if commas != len(lines) * (len(columns) - 1):
        return None
    types = dict.fromkeys(columns, pl.String) | dict.fromkeys(numbers, pl.Float32)
    try:
        # all columns: where some are left out, polars passes over lines that are too long
        frame = pl.read_csv(
            content, has_header=False, schema=types, quote_char=None, empty_string_is_null=False
        )
    except pl.exceptions.PolarsError:  # a line that is too long, or text among numbers
        return None
    parsed = pd.DataFrame(frame.select(numbers).to_numpy(), columns=numbers, copy=False)
    for name in text:
        parsed[name] = frame[name].str.strip_chars_start(" ").cast(pl.Categorical).to_pandas()
    return parsed if gaps or np.isfinite(parsed[numbers].to_numpy()).all() else None


def _check_header(path: Path, found: list[str], expected: set[str], unused: set[str]) -> None:
    missing, foreign = expected - set(found), set(found) - expected - unused
    if missing or foreign:
        raise UserError(
            f"{path}, row 1: expected a header with the {len(expected)} published columns, found "
            f"{len(found)}; missing: {', '.join(sorted(missing)) or 'none'}; unknown: "
            f"{', '.join(sorted(foreign)) or 'none'}. Get the file again."
        )


def _check_widths(path: Path, lines: list[str], places: list[int], columns: int) -> None:
    for line, row in zip(lines, places, strict=True):
        if line.count(",") != columns - 1:
            raise UserError(
                f"{path}, row {row}: expected {columns} columns, found {line.count(',') + 1}. "
                "Get the file again."
            )


def _careful(
    path: Path,
    lines: list[str],
    places: list[int],
    columns: list[str],
    numbers: list[str],
    text: list[str],
    gaps: bool,
) -> pd.DataFrame:
    """Parse lines by pandas; if that fails, a look at them as text finds the bad cell."""
    content = "".join(lines).replace('"', "")
    options = {
        "header": None,
        "names": columns,
        "usecols": [*numbers, *text],
        "index_col": False,
        "skipinitialspace": True,
        "keep_default_na": False,
    }
    types = {c: np.float32 for c in numbers} | {c: str for c in text}
    try:
        with np.errstate(over="ignore"):
            frame = pd.read_csv(
                io.StringIO(content), dtype=types, na_values=dict.fromkeys(numbers, GAPS), **options
            )
        good = gaps or np.isfinite(frame[numbers].to_numpy()).all()
    except ValueError:  # text among numbers: where is found below
        good = False
    if not good:
        frame = pd.read_csv(io.StringIO(content), dtype=str, **options).set_axis(places)
        if gaps:
            frame[numbers] = frame[numbers].mask(frame[numbers].isin([*GAPS, *INFINITE]), "0")
        raise files.bad_cell(frame, numbers, path)
    return frame
