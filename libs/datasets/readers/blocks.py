"""Comma-separated rows under a header, read block by block, so that memory stays bounded."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import polars as pl

from libs.datasets.readers import files
from libs.utils.errors import UserError

T = TypeVar("T")
BYTES = 16 * 2**20
"""Size of one block: the lines that it takes to fill it."""
GAPS = ["", "NaN", "nan"]
Buffer = bytes | memoryview
INFINITE = ["Infinity", "-Infinity", "inf", "-inf"]


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; a thread makes the next one while the caller works on the last."""
    thread = ThreadPoolExecutor(1)
    try:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
    finally:
        thread.shutdown(wait=False)  # the collector of garbage may be what ends this, anywhere


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
        options = (columns, numbers, text, gaps)
        start, found = 2, 0
        while content := file.read(BYTES) + file.readline():
            lines = _lines(content)
            content, places = _without_headers(content, head, start)
            frame = _fast(content, len(places), *options)
            if frame is None:  # blank lines, or something is wrong
                kept = dict(zip(places, io.BytesIO(content), strict=True))
                kept = {row: line for row, line in kept.items() if line.strip() not in (b"", head)}
                places = list(kept)
                frame = _fast(b"".join(kept.values()), len(kept), *options)
                if frame is None and kept:
                    frame = _careful(path, kept, *options)
            if frame is not None:
                yield frame.set_axis(places)
            start, found = start + lines, found + len(places)
    if not found:
        raise UserError(f"{path} holds no rows: expected rows of {len(columns)} columns.")


def _told_apart(names: list[str]) -> list[str]:
    """Names without blanks; the second of two equal ones has .1 at its end, as in pandas."""
    names = [name.strip() for name in names]
    return [f"{n}.{names[:i].count(n)}" if n in names[:i] else n for i, n in enumerate(names)]


def _count(content: Buffer, character: str) -> int:
    """As ``content.count``, which is ten times slower where there are many."""
    characters = np.frombuffer(content, np.uint8) if len(content) else np.empty(0, np.uint8)
    return np.count_nonzero(characters == ord(character))


def _lines(content: Buffer) -> int:
    return _count(content, "\n") + (len(content) > 0 and content[-1] != ord("\n"))


def _without_headers(content: bytes, head: bytes, start: int) -> tuple[bytes, Sequence[int]]:
    """Cut repeated headers out of lines; also give the numbers in the file of those that stay."""
    pieces, begin, at = [], 0, content.find(head)
    while at >= 0:
        end = content.find(b"\n", at) + 1 or len(content)
        if (at and content[at - 1] != ord("\n")) or content[at + len(head) : end].strip():
            pieces, begin = [], 0  # it stands within a line
            break
        pieces.append(memoryview(content)[begin:at])
        begin, at = end, content.find(head, end)
    pieces.append(memoryview(content)[begin:])
    lines = np.array([_lines(piece) for piece in pieces])
    places = np.arange(start, start + lines.sum() + len(pieces) - 1)
    places = np.delete(places, np.cumsum(lines + 1)[:-1] - 1)
    return (content if len(pieces) == 1 else b"".join(pieces)), places


def _fast(
    content: bytes, lines: int, columns: list[str], numbers: list[str], text: list[str], gaps: bool
) -> pd.DataFrame | None:
    """Parse lines by polars; None if there are none, or anything about them is strange."""
    content = content.replace(b'"', b"")
    if not lines or _count(content, ",") != lines * (len(columns) - 1):
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


def _careful(
    path: Path,
    kept: dict[int, bytes],
    columns: list[str],
    numbers: list[str],
    text: list[str],
    gaps: bool,
) -> pd.DataFrame:
    """Parse lines by pandas; if that fails, a look at them as text finds the bad cell.

    ``kept`` holds the lines by their numbers in the file.
    """
    for row, line in kept.items():
        if line.count(b",") != len(columns) - 1:
            raise UserError(
                f"{path}, row {row}: expected {len(columns)} columns, found "
                f"{line.count(b',') + 1}. Get the file again."
            )
    content = b"".join(kept.values()).decode().replace('"', "")
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
        frame = pd.read_csv(io.StringIO(content), dtype=str, **options).set_axis(list(kept))
        if gaps:
            frame[numbers] = frame[numbers].mask(frame[numbers].isin([*GAPS, *INFINITE]), "0")
        raise files.bad_cell(frame, numbers, path)
    return frame
