"""Tables of any size in blocks of rows: CSV, plain or gzipped, Parquet, and standard input.

What a file is, is told by its first bytes; what separates the cells of a CSV file, by its header.
"""

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from libs.utils.errors import UserError

STANDARD_INPUT = "-"
PIECE = 8 * 2**20
"""Bytes of CSV that are parsed at a time."""
LONGEST = 64 * 2**20
"""A row of CSV is shorter than this."""
BLOCK = 32 * 2**20
"""Bytes that the numbers of a block's rows take, in double precision."""
MOST_ROWS = 2**16
SEPARATORS = ",;\t|"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a table.

    All blocks of a file but its last have the same number of rows, which depends on the number of
    columns alone.

    Attributes
    ----------
    frame : polars.DataFrame
        Columns of text, or of Float64 where the file itself knows that they are numbers (Parquet).
    source : str
        The name of the file, for messages.
    numbers : sequence of int
        Numbers of the rows in the file, which count from 1 below the header.
    read : int
        Bytes of the file that were read so far; 0 of standard input.
    """

    frame: pl.DataFrame
    source: str
    numbers: Sequence[int]
    read: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    def only(self, chosen: np.ndarray) -> "Block":
        """Some of its rows, by a mask (n,)."""
        numbers = np.asarray(self.numbers)[chosen]
        return Block(self.frame.filter(pl.Series(chosen)), self.source, numbers, self.read)

    def place(self, column: str, row: int) -> str:
        """Where a cell is, for messages; ``row`` counts from 0 within the block."""
        return f"{self.source}, row {self.numbers[row]}, column {column!r}"


def read(path: str | Path) -> Iterator[Block]:
    """Yield the rows of a table; at least one block.

    Parameters
    ----------
    path : path, or "-" for standard input
        CSV in UTF-8 with a header, plain or gzipped, or a Parquet file.

    Raises
    ------
    UserError
        If there is no such file, no row in it, or it is not such a table; names the row.
    """
    source = "standard input" if str(path) == STANDARD_INPUT else str(path)
    first = 1
    with _explained(source), _opened(path) as raw:
        head = raw.peek(4)[:4]
        if head == b"PAR1":
            frames = _parquet_frames(path, source)
        elif str(path).endswith(".parquet"):
            raise UserError(f"{source} is no Parquet file, or a damaged one. Write it again.")
        else:
            frames = _csv_frames(
                gzip.GzipFile(fileobj=raw) if head[:2] == b"\x1f\x8b" else raw, source
            )
        for frame in _regrouped(frames):
            numbers = range(first, first + len(frame))
            yield Block(frame, source, numbers, raw.tell() if raw.seekable() else 0)
            first += len(frame)
    if first == 1:
        raise UserError(f"{source} holds no rows: expected some below its header.")


@contextmanager
def _opened(path: str | Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file; standard input stays open."""
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with open(path, "rb") as raw:
        yield raw


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what reading raises into a UserError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{source} is truncated or damaged ({error}). Get it again.") from error
    except OSError as error:
        raise UserError(
            f"{source} cannot be read ({error.strerror or error}): expected a CSV or Parquet file."
        ) from error
    except (pa.ArrowException, pl.exceptions.PolarsError, csv.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"{source} cannot be read as a table ({reason}): expected CSV in UTF-8 with a header, "
            "or Parquet."
        ) from error


def _regrouped(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows, so many at a time as their columns allow."""
    pending: list[pl.DataFrame] = []
    for frame in frames:
        pending.append(frame)
        rows = min(MOST_ROWS, 1 << (max(1, BLOCK // (8 * frame.width)).bit_length() - 1))
        while sum(map(len, pending)) >= rows:
            whole = pl.concat(pending)
            yield whole[:rows]
            pending = [whole[rows:]]
    if sum(map(len, pending)):
        yield pl.concat(pending)


# --- CSV -----------------------------------------------------------------------------------------
def _csv_frames(file: BinaryIO, source: str) -> Iterator[pl.DataFrame]:
    names: list[str] = []
    first, separator = 1, ","
    for piece in _pieces(file, source):
        if not names:
            names, separator, piece = _header(piece, source)
        if piece.strip(b"\r\n"):
            frame = _parsed(piece, names, separator, source, first)
            first += len(frame)
            yield frame
    if not names:
        raise UserError(f"{source} is empty: expected a header and rows.")


def _pieces(file: BinaryIO, source: str) -> Iterator[bytes]:
    """Whole rows, `PIECE` bytes at a time; a line break between quotation marks ends no row."""
    kept, line = b"", 1
    while data := file.read(PIECE):
        kept += data
        ends = _ends(kept)
        if len(ends):
            yield kept[: ends[-1]]
            line += kept.count(b"\n", 0, ends[-1])
            kept = kept[ends[-1] :]
        elif len(kept) > LONGEST:
            break
    if kept.count(b'"') % 2 or len(kept) > LONGEST:
        raise UserError(
            f"{source}, line {line}: a quotation mark is never closed, or stands alone within a "
            f"cell, or a row is longer than {LONGEST >> 20} MiB. Close it, or write two of them in "
            "a cell between quotation marks."
        )
    if kept.strip(b"\r\n"):
        yield kept


def _ends(content: bytes) -> np.ndarray:
    """Where rows end in ``content``, which starts with a row."""
    characters = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(characters == ord("\n")) + 1
    if b'"' in content:
        marks = np.flatnonzero(characters == ord('"'))
        ends = ends[np.searchsorted(marks, ends) % 2 == 0]
    return ends


def _header(piece: bytes, source: str) -> tuple[list[str], str, bytes]:
    """Names of the columns, what separates them, and the rows below."""
    if piece.startswith(UTF_16):
        raise UserError(f"{source} is in UTF-16: expected UTF-8. Convert it, as by iconv -t UTF-8.")
    piece = piece.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    end = next(iter(_ends(piece)), len(piece))
    head = piece[:end].strip(b"\r\n")
    if b"\0" in head or b"\r" in head:
        raise UserError(
            f"{source} is no CSV in UTF-8 with ordinary line ends: its header holds the bytes "
            f"{head[:20]!r}"
        )
    text = head.decode()
    bare = re.sub('"[^"]*"', "", text)
    separator = max(SEPARATORS, key=bare.count)
    names = next(csv.reader([text], delimiter=separator, strict=True), [])
    return checked_names(names, source), separator, piece[end:]


def checked_names(names: Sequence[str], source: str) -> list[str]:
    """Names of columns, without blanks around them.

    Raises
    ------
    UserError
        If one is empty or stands twice, or they look like a row.
    """
    names = [name.strip() for name in names]
    if not all(names):
        place = names.index("") + 1
        raise UserError(
            f"{source}: column {place} has no name. Expected a header with a name for each column "
            "(pandas writes an unnamed first one without index=False)."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{source}: the column {twice[0]!r} stands twice. Rename one of them.")
    numbers = [name for name in names if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", name, re.I)]
    counted = names == [str(i) for i in range(len(names))]
    if not counted and (len(numbers) == len(names) or any("." in name for name in numbers)):
        raise UserError(
            f"{source}: expected a header with the names of the columns, found a row with "
            f"{numbers[0]!r}. Put a header on top."
        )
    return names


def _parsed(
    piece: bytes, names: list[str], separator: str, source: str, first: int
) -> pl.DataFrame:
    """Cells of a piece as text; ``first`` is the number of its first row."""
    parse = pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    types = dict.fromkeys(names, pa.string())
    convert = pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False)

    # a thread of Arrow's that still holds the piece when Python ends would abort the process;
    # with a block for all of it they are no faster
    options = pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=LONGEST + PIECE)
    try:
        return pl.from_arrow(pa.csv.read_csv(pa.BufferReader(piece), options, parse, convert))
    except pa.ArrowInvalid as error:
        raise _bad_row(str(error), source, first) from error


def _bad_row(message: str, source: str, first: int) -> UserError:
    """What pyarrow says of a row, in our words."""
    row = re.search(r"Row #(\d+)", message)
    place = f"{source}, row {first + int(row[1]) - 1}" if row else source
    widths = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if widths:
        return UserError(
            f"{place}: expected {widths[1]} columns as in the header, found {widths[2]}. "
            "Correct that row, or put quotation marks around what holds a separator."
        )
    if "UTF8" in message:
        return UserError(f"{place} is not in UTF-8. Convert the file, as by iconv -t UTF-8.")
    return UserError(f"{place} cannot be read: {message.splitlines()[0][:200]}")


# --- Parquet -------------------------------------------------------------------------------------
def _parquet_frames(path: str | Path, source: str) -> Iterator[pl.DataFrame]:
    if str(path) == STANDARD_INPUT:
        raise UserError("standard input holds Parquet, which can be read from files only")
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        names = checked_names(file.schema_arrow.names, source)
        for field in file.schema_arrow:
            if not _is_plain(field.type):
                raise UserError(
                    f"{source}: the column {field.name!r} holds {field.type}: expected numbers, "
                    "text or dates. Leave it out, or make columns of its parts."
                )
        for batch in file.iter_batches(batch_size=MOST_ROWS):
            frame = pl.from_arrow(pa.Table.from_batches([batch]))
            yield pl.DataFrame([plain(c.alias(n)) for c, n in zip(frame, names, strict=True)])


def _is_plain(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, text or points in time."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean),
        *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        *(pa.types.is_date, pa.types.is_timestamp, pa.types.is_time, pa.types.is_null),
    )
    return any(test(kind) for test in tests)


def plain(series: pl.Series) -> pl.Series:
    """Numbers as Float64, all else as text, which is empty where there is none."""
    if series.dtype.is_numeric():
        return series.cast(pl.Float64)
    return series.cast(pl.String).fill_null("")
