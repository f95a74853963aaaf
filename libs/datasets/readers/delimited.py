"""Rows of delimited text, read in pieces: whole rows, their line numbers, their cells.

This is the only reader of CSV. Cells may be quoted; a quoted cell may contain separators, doubled
quotation marks and line breaks. Blank lines are skipped.
"""

import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np
import polars as pl

from libs.utils.errors import UserError

T = TypeVar("T")
PIECE = 8 * 2**20
"""Bytes that are split and parsed at a time, as decompressed."""
LONGEST = 64 * 2**20
"""Upper bound on the bytes of a row."""
SHOWN = 60
"""Characters of a cell that a message shows."""


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items; a thread prepares the next one while the caller uses the last."""
    thread = ThreadPoolExecutor(1)
    try:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
    finally:
        thread.shutdown(wait=False)  # the garbage collector may end this generator, anywhere


@dataclass(frozen=True)
class Lines:
    """Whole rows of text.

    Attributes
    ----------
    content : bytes
    ends : (n,) int
        End of each row in ``content``, where the next one starts.
    numbers : (n,) int
        Line of the file on which each row starts, counted from 1.
    """

    content: bytes
    ends: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends.tolist():
            yield self.content[start:end]
            start = end

    def select(self, kept: np.ndarray) -> "Lines":
        """Some of the rows, by a mask (n,)."""
        if kept.all():
            return self
        content = b"".join(row for row, stays in zip(self, kept, strict=True) if stays)
        lengths = np.diff(self.ends, prepend=0)
        return Lines(content, np.cumsum(lengths[kept]), self.numbers[kept])

    def split_first(self) -> tuple[bytes, "Lines"]:
        """The first row, and the others."""
        end = self.ends[0]
        return self.content[:end], Lines(self.content[end:], self.ends[1:] - end, self.numbers[1:])

    def widths(self, separator: str) -> np.ndarray:
        """How many cells each row has."""
        at = _outside_quotes(self.content, separator)
        return np.diff(np.searchsorted(at, self.ends), prepend=0) + 1


def split(file: BinaryIO, source: str) -> Iterator[Lines]:
    """Yield the rows of a file, `PIECE` bytes at a time, at least one each time.

    ``source`` is its name for messages.

    Raises
    ------
    UserError
        If a quotation mark is never closed, or a row is too long.
    """
    rest, line = b"", 1
    while data := file.read(PIECE):
        rest += data
        ends = _outside_quotes(rest, "\n") + 1
        if len(ends):
            if len(lines := _lines(rest[: ends[-1]], ends, line)):
                yield lines
            line += rest.count(b"\n", 0, ends[-1])
            rest = rest[ends[-1] :]
        elif len(rest) > LONGEST:
            break
    if rest.count(b'"') % 2 or len(rest) > LONGEST:
        raise UserError(
            f"{source}, line {line}: a quotation mark is never closed, or stands alone within a "
            f"cell, or a row is longer than {LONGEST >> 20} MiB. Close it, or write two of them in "
            "a cell between quotation marks."
        )
    if rest and len(lines := _lines(rest, np.array([len(rest)]), line)):
        yield lines


def _outside_quotes(content: bytes, character: str) -> np.ndarray:
    """Positions of a character outside quotation marks; ``content`` starts with a row."""
    codes = np.frombuffer(content, np.uint8)
    places = np.flatnonzero(codes == ord(character))
    if b'"' in content:
        marks = np.flatnonzero(codes == ord('"'))
        places = places[np.searchsorted(marks, places) % 2 == 0]
    return places


def _lines(content: bytes, ends: np.ndarray, first: int) -> Lines:
    """Drop blank rows; ``first`` is the line on which the first row starts."""
    starts = np.concatenate([[0], ends[:-1]])
    breaks = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
    lines = Lines(content, ends, first + np.searchsorted(breaks, starts))
    kept = np.ones(len(ends), bool)
    for i in np.flatnonzero(np.isin(np.frombuffer(content, np.uint8)[starts], list(b" \r\n"))):
        kept[i] = bool(content[starts[i] : ends[i]].strip(b" \r\n"))
    return lines.select(kept)


def parse_header(row: bytes, separator: str = ",") -> list[str]:
    """Split a header into names without surrounding blanks."""
    cells = next(csv.reader([row.decode().strip("\r\n")], delimiter=separator, strict=True), [])
    return [cell.strip() for cell in cells]


def parse(
    lines: Lines, names: Sequence[str], wanted: Sequence[str], source: str, separator: str = ","
) -> pl.DataFrame:
    """Parse rows into text cells: the columns ``wanted`` among ``names``.

    Raises
    ------
    UserError
        If a row has more or fewer cells than there are names, or is not in UTF-8.
    """
    widths = lines.widths(separator)
    bad = np.flatnonzero(widths != len(names))
    if len(bad):
        more = f" (and so in {len(bad) - 1} rows close to it)" if len(bad) > 1 else ""
        raise UserError(
            f"{source}, line {lines.numbers[bad[0]]}: expected {len(names)} columns, found "
            f"{widths[bad[0]]}{more}. Correct that row, or put quotation marks around what holds "
            "a separator."
        )
    content = lines.content if lines.content.endswith(b"\n") else lines.content + b"\n"
    options = {"has_header": False, "separator": separator, "empty_string_is_null": False}
    try:
        table = pl.scan_csv(content, schema=dict.fromkeys(names, pl.String), **options)
        frame = table.select(wanted).collect()
        if len(frame) == len(lines):
            return frame
    except pl.exceptions.PolarsError:  # quotation marks within cells, or another encoding
        pass
    places = [list(names).index(name) for name in wanted]
    cells = []
    for number, row in zip(lines.numbers, lines, strict=True):
        try:
            text = row.decode()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{source}, line {number} is not in UTF-8. Name its encoding with --encoding, or "
                "convert the file, as by iconv -t UTF-8."
            ) from error
        found = next(csv.reader(text.splitlines(keepends=True), delimiter=separator))
        cells.append([found[i] if i < len(found) else "" for i in places])
    return pl.DataFrame(cells, schema=dict.fromkeys(wanted, pl.String), orient="row")
