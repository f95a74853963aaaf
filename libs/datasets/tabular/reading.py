"""Tables of any size in blocks of rows: CSV, plain or gzipped, Parquet, and standard input.

The format is recognised by the first bytes, the separator of a CSV file by its header. Memory use
depends on the constants below, not on the file: unwanted columns are never parsed, long cells are
cut, and blocks are bounded in rows and bytes.
"""

import csv
import gzip
import io
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from libs.datasets.readers import delimited
from libs.utils.errors import UserError, shorten

STANDARD_INPUT = "-"
BLOCK = 32 * 2**20
"""Upper bound on the bytes of a block's numbers, in double precision, and of its text."""
MOST_ROWS = 2**16
LONGEST_CELL = 1000
"""Characters of a cell that are kept; the rest is cut."""
LONGEST_NAME = 1000
"""Upper bound on the characters of a column name."""
SEPARATORS = ",;\t|"
UTF_8 = "utf-8"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LINE = ""
"""Internal column with the line on which each row starts; no file can use this name."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a table.

    All blocks of a file but the last have the same number of rows, which depends only on the number
    of columns, unless there is much text.

    Attributes
    ----------
    frame : polars.DataFrame
        The wanted columns: text, or Float64 where the file format declares numbers.
    source : str
        The name of the file, for messages.
    numbers : sequence of int
        Row numbers in the file, counted from 1 below the header.
    read : int
        Bytes of the file read so far; 0 for standard input.
    lines : (n,) int, optional
        Line of the file on which each row starts, counted from 1; None for Parquet.
    names : tuple of str
        All columns of the file, in order.
    """

    frame: pl.DataFrame
    source: str
    numbers: Sequence[int]
    read: int = 0
    lines: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "names", self.names or tuple(self.frame.columns))

    def __len__(self) -> int:
        return len(self.numbers)

    def select(self, chosen: np.ndarray) -> "Block":
        """The rows that a mask (n,) selects."""
        numbers = np.asarray(self.numbers)[chosen]
        lines = None if self.lines is None else self.lines[chosen]
        frame = self.frame.filter(pl.Series(chosen))
        return replace(self, frame=frame, numbers=numbers, lines=lines)

    def place(self, column: str, row: int) -> str:
        """Position of a cell, for messages; ``row`` counts from 0 within the block."""
        known = self.lines is not None
        where = f"line {self.lines[row]}" if known else f"row {self.numbers[row]}"
        return f"{self.source}, {where}, column {shorten(column)}"


def read(
    path: str | Path,
    wanted: Collection[str] | None = None,
    skipped: Collection[str] = (),
    encoding: str = UTF_8,
) -> Iterator[Block]:
    """Yield the rows of a table; at least one block.

    Parameters
    ----------
    path : path, or "-" for standard input
        CSV with a header, plain or gzipped, or a Parquet file.
    wanted : collection of str, optional
        Columns to read if the file has them; default: all.
    skipped : collection of str
        Columns not to read.
    encoding : str
        Of CSV.

    Raises
    ------
    UserError
        If the file is missing, empty, or not such a table; names the line.
    """
    source = "standard input" if str(path) == STANDARD_INPUT else str(path)
    first = 1

    def choose(names: Sequence[str]) -> list[str]:
        """Choose the wanted columns, at least one, so that there are rows."""
        left = [name for name in names if name not in skipped]
        return [n for n in left if wanted is None or n in wanted] or list(names[:1])

    with _explained(source, encoding), _opened(path) as raw:
        head = raw.peek(4)[:4]
        if head == b"PAR1":
            names, frames = _open_parquet(path, source, choose, asked=wanted is not None)
        elif str(path).endswith(".parquet"):
            raise UserError(f"{source} is no Parquet file, or a damaged one. Write it again.")
        else:
            file = gzip.GzipFile(fileobj=raw) if head[:2] == b"\x1f\x8b" else raw
            file = file if encoding == UTF_8 else _Transcoder(file, encoding)
            names, frames = _open_csv(file, source, choose)
        for frame in _group_frames(frames, len(names)):
            numbers = range(first, first + len(frame))
            read_now = raw.tell() if raw.seekable() else 0
            lines = frame[LINE].to_numpy() if LINE in frame.columns else None
            frame = frame.drop(LINE, strict=False)
            yield Block(frame, source, numbers, read_now, lines, tuple(names))
            first = numbers.stop
    if first == 1:
        raise UserError(f"{source} holds no rows: expected some below its header.")


@contextmanager
def _opened(path: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file for bytes; standard input stays open."""
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with open(path, "rb") as raw:
        yield raw


class _Transcoder:
    """Text in another encoding, read as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str):
        try:
            self.text = io.TextIOWrapper(file, encoding=encoding, newline="")
        except LookupError as error:
            raise UserError(
                f"--encoding {encoding}: expected a name such as utf-8, latin-1, cp1252 or utf-16"
            ) from error

    def read(self, size: int) -> bytes:
        return self.text.read(size).encode()


@contextmanager
def _explained(source: str, encoding: str) -> Iterator[None]:
    """Turn the exceptions of reading into a UserError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{source} is truncated or damaged ({error}). Get it again.") from error
    except OSError as error:
        raise UserError(
            f"{source} cannot be read ({error.strerror or error}): expected a CSV or Parquet file."
        ) from error
    except (
        pl.exceptions.PanicException,
        pl.exceptions.PolarsError,
        csv.Error,
        UnicodeError,
    ) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0][:200]
        raise UserError(
            f"{source} cannot be read as a table ({reason}): expected CSV in {encoding.upper()} "
            "with a header (--encoding names another one), or Parquet."
        ) from error


def _rows_of(width: int) -> int:
    """Rows per block for a number of columns: a power of two."""
    return min(MOST_ROWS, 1 << (max(1, BLOCK // (8 * width)).bit_length() - 1))


def _group_frames(frames: Iterator[pl.DataFrame], width: int) -> Iterator[pl.DataFrame]:
    """Regroup rows into blocks as large as their columns and text allow."""
    most, kept = _rows_of(width), None
    for frame in frames:
        kept = frame if kept is None else pl.concat([kept, frame])
        while len(kept) >= (rows := _rows_that_fit(kept, most)):
            yield kept[:rows]
            kept = kept[rows:]
    if kept is not None and len(kept):
        yield kept


def _rows_that_fit(frame: pl.DataFrame, most: int) -> int:
    """Number of rows, a power of two and at most ``most``, whose text fits a block."""
    sizes = frame.select(pl.col(pl.String).str.len_bytes().sum())
    size = sum(sizes.row(0)) if sizes.width else 0
    if size <= BLOCK:
        return most
    return min(most, 1 << (max(1, len(frame) * BLOCK // size).bit_length() - 1))


# --- CSV -----------------------------------------------------------------------------------------
Chooser = Callable[[Sequence[str]], list[str]]
Opened = tuple[list[str], Iterator[pl.DataFrame]]
"""All column names, and the rows of the chosen columns."""


def _open_csv(file: BinaryIO, source: str, choose: Chooser) -> Opened:
    pieces = delimited.split(file, source)
    first = next(pieces, None)
    if first is None:
        raise UserError(f"{source} is empty: expected a header and rows.")
    head, first = first.split_first()
    names, separator = _header(head, source)
    wanted = choose(names)

    def frames() -> Iterator[pl.DataFrame]:
        for lines in filter(len, chain([first], pieces)):
            frame = delimited.parse(lines, names, wanted, source, separator)
            if np.diff(lines.ends, prepend=0).max() > LONGEST_CELL:
                frame = _cut(frame)
            yield frame.hstack([pl.Series(LINE, lines.numbers)])

    return names, frames()


def _cut(frame: pl.DataFrame) -> pl.DataFrame:
    """Cut long texts; they are copied, so that the memory of the rest is freed."""
    lengths = frame.select(pl.col(pl.String).str.len_bytes().max())
    rows = lengths.rows()[0] if lengths.width else ()
    long = [n for n, size in zip(lengths.columns, rows, strict=True) if (size or 0) > LONGEST_CELL]
    return frame.with_columns(pl.col(long).str.head(LONGEST_CELL) + "") if long else frame


def _header(head: bytes, source: str) -> tuple[list[str], str]:
    """Column names and separator of a CSV file."""
    if head.startswith(UTF_16):
        raise UserError(f"{source} is in UTF-16: start with --encoding utf-16, or convert it.")
    head = head.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n")
    if b"\0" in head or b"\r" in head:
        raise UserError(
            f"{source} is no CSV in UTF-8 with ordinary line ends: its header holds the bytes "
            f"{head[:20]!r}"
        )
    bare = re.sub('"[^"]*"', "", head.decode())
    separator = max(SEPARATORS, key=bare.count)
    return check_names(delimited.parse_header(head, separator), source), separator


def check_names(names: Sequence[str], source: str) -> list[str]:
    """Strip and check column names.

    Raises
    ------
    UserError
        If a name is empty, too long or repeated, or the names look like a row.
    """
    names = [name.strip() for name in names]
    if not all(names):
        place = names.index("") + 1
        raise UserError(
            f"{source}: column {place} has no name. Expected a header with a name for each column "
            "(pandas writes an unnamed first one without index=False)."
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        named = shorten(twice[0])
        raise UserError(f"{source}: the column {named} appears twice. Rename one of them.")
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_NAME:
        raise UserError(
            f"{source}: the name of a column has {len(longest)} characters "
            f"({shorten(longest)}); expected at most {LONGEST_NAME}. Shorten it, or put "
            "a header on top."
        )
    numbers = [name for name in names if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", name, re.I)]
    counted = names == [str(i) for i in range(len(names))]
    if not counted and (len(numbers) == len(names) or any("." in name for name in numbers)):
        raise UserError(
            f"{source}: expected a header with the names of the columns, found a row with "
            f"{numbers[0]!r}. Put a header on top."
        )
    return names


# --- Parquet -------------------------------------------------------------------------------------
def _open_parquet(path: str | Path, source: str, choose: Chooser, asked: bool) -> Opened:
    """Open a file; columns with lists or the like become text if they were asked for by name."""
    if str(path) == STANDARD_INPUT:
        raise UserError("standard input holds Parquet, which can be read from files only")
    kinds = pl.read_parquet_schema(path)
    names = check_names(list(kinds), source)
    raw, chosen = dict(zip(names, kinds, strict=True)), choose(names)
    for name in chosen:
        if not asked and not _is_plain(kinds[raw[name]]):
            raise UserError(
                f"{source}: the column {shorten(name)} holds {kinds[raw[name]]}: "
                "expected numbers, text or dates. Leave it out, or make columns of its parts."
            )
    table = pl.scan_parquet(path).select(pl.col(raw[name]).alias(name) for name in chosen)
    rows = _rows_of(len(names))

    def frames() -> Iterator[pl.DataFrame]:
        for batch in table.collect_batches(chunk_size=rows, maintain_order=True):
            yield _cut(pl.DataFrame([_plain(column) for column in batch]))

    return names, frames()


def _is_plain(kind: pl.DataType) -> bool:
    """Whether a type is numeric, text or temporal."""
    text = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
    return kind.is_numeric() or kind in text or (kind.is_temporal() and kind != pl.Duration)


def _plain(series: pl.Series) -> pl.Series:
    """Numbers as Float64, everything else as text, empty where missing."""
    if series.dtype.is_numeric():
        return series.cast(pl.Float64)
    if series.dtype in (pl.Categorical, pl.Enum):  # cut the categories before they are repeated
        known = series.drop_nulls().unique()
        texts = known.cast(pl.String).str.head(LONGEST_CELL)
        codes, known = series.to_physical(), known.to_physical()
        return codes.replace_strict(known, texts, default="", return_dtype=pl.String)
    if not _is_plain(series.dtype):
        texts = ["" if value is None else str(value) for value in series.to_list()]
        return pl.Series(series.name, texts, pl.String)
    return series.cast(pl.String).fill_null("")
