"""Parsing the cells of a column as numbers or text, in a table's notation."""

import re
import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from libs.datasets.readers.delimited import SHOWN
from libs.datasets.tabular.reading import UTF_8, Block
from libs.utils.errors import UserError, shorten

GAPS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none")
"""Spellings of a missing number; text is missing only if empty."""
LARGEST = 1e38
"""Bound on numbers whose differences still fit float32."""
WRITTEN = r"^[-+]?(\d+|\d{1,3}([.,' ]\d{3})+)([.,]\d+)?([eE][-+]?\d+)?\s?(%|€|\$|£|EUR|USD)?$"
"""A number in the notation of any country, perhaps with a unit."""
ENGLISH = r"^[-+]?\d{1,3}(,\d{3})+(\.|\D*$)"
"""One with commas between thousands."""
MARK = r"^[-–—.?*/]{1,3}$"
"""Marks that people write for a missing number."""
MOST_TOLD = 20
"""Upper bound on the problems in one message."""


@dataclass(frozen=True)
class Notation:
    """Notation of the cells of a table.

    Attributes
    ----------
    decimal, thousands : str
        One character each; an empty ``thousands`` means no separator.
    missing : tuple of str
        Spellings of a missing value besides `GAPS`.
    encoding : str
        Of CSV.
    """

    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()
    encoding: str = UTF_8

    def __post_init__(self):
        if self.decimal not in (".", ","):
            raise UserError(f"--decimal: expected . or , and found {self.decimal!r}")
        if self.thousands not in ("", ".", ",", " ", "'", "_") or self.thousands == self.decimal:
            raise UserError(
                f"--thousands: expected . or , or ' or _ or a blank, other than the decimal "
                f"{self.decimal!r}; found {self.thousands!r}"
            )

    @classmethod
    def from_description(cls, about: dict[str, Any]) -> Self:
        """Undo `describe`."""
        return cls(**about | {"missing": tuple(about.get("missing", ()))})

    def describe(self) -> dict[str, Any]:
        """What differs from the default, in JSON."""
        plain = asdict(PLAIN)
        found = {name: value for name, value in asdict(self).items() if value != plain[name]}
        return {name: list(v) if name == "missing" else v for name, v in found.items()}

    @property
    def number(self) -> str:
        """The pattern of a number."""
        d, t = re.escape(self.decimal), re.escape(self.thousands)
        whole = rf"(\d+|\d{{1,3}}({t}\d{{3}})+)" if self.thousands else r"\d+"
        return rf"^[-+]?({whole}({d}\d*)?|{d}\d+)([eE][-+]?\d+)?$"


PLAIN = Notation()


def as_text(series: pl.Series, notation: Notation = PLAIN) -> pl.Series:
    """Stripped text, empty where missing; whole numbers without a decimal point."""
    if series.dtype == pl.Float64:
        values = series.fill_nan(None)
        whole = ((values == values.round()) & (values.abs() < 2**53)).fill_null(False)
        counts = values.set(~whole, 0.0).cast(pl.Int64).cast(pl.String)
        text = counts.zip_with(whole, values.cast(pl.String)).fill_null("")
    else:
        text = series.str.strip_chars()
    return text.set(text.is_in(notation.missing), "") if notation.missing else text


def identify(block: Block, names: Sequence[str], taken: Collection[str] = ()) -> pl.DataFrame:
    """Where the rows of a block lie, and columns to keep beside what is said of them, as text.

    Parameters
    ----------
    block : Block
    names : sequence of str
        The columns; empty where the file lacks one.
    taken : collection of str
        Names of other columns of the result; one of the same name becomes ``id NAME``.

    Returns
    -------
    DataFrame
        ``file``, ``row`` (from 1 in each file), ``line`` (of a CSV file, as an editor counts), and
        the columns.
    """
    lines = [None] * len(block) if block.lines is None else block.lines
    frame = pl.DataFrame(
        {
            "file": pl.Series([block.source]).new_from_index(0, len(block)),
            "row": pl.Series(np.asarray(block.numbers), dtype=pl.Int64),
            "line": pl.Series(lines, dtype=pl.Int64),
        }
    )
    for name in names:
        there = name in block.frame.columns
        cells = (
            as_text(block.frame[name]) if there else pl.Series([None] * len(block), dtype=pl.String)
        )
        unique = f"id {name}" if name in {*frame.columns, *taken} else name
        frame = frame.with_columns(cells.alias(unique))
    return frame


def as_numbers(series: pl.Series, notation: Notation = PLAIN) -> tuple[pl.Series, np.ndarray]:
    """Numbers of a column.

    Returns
    -------
    values : Series of Float64
        Null where the number is missing or the cell is not a number.
    strange : (m,) int
        Rows whose cell is neither a number nor missing.
    """
    if series.dtype == pl.Float64:
        values = series.fill_nan(None)
        if notation.missing:
            values = values.set(as_text(series, notation) == "", None)
        return values, np.empty(0, int)
    if notation == PLAIN:  # most cells are plain numbers, which need no closer look
        values = series.cast(pl.Float64, strict=False).fill_nan(None)
        if not values.null_count():
            return values, np.empty(0, int)
    text = as_text(series, notation)
    plain = text
    if notation.decimal != "." or notation.thousands:
        known = text.str.contains(notation.number) | text.str.to_lowercase().is_in(GAPS)
        plain = text.str.replace_all(notation.thousands, "", literal=True)
        plain = plain.str.replace(notation.decimal, ".", literal=True).set(~known, "?")
    values = plain.cast(pl.Float64, strict=False).fill_nan(None)
    if not values.null_count():
        return values, np.empty(0, int)
    rows = values.is_null().arg_true()
    missing = text.gather(rows).str.to_lowercase().is_in(GAPS)
    return values, rows.filter(~missing).to_numpy()


def number_problem(values: pl.Series, strange: np.ndarray, block: Block, name: str) -> str | None:
    """Message on the first cell that is text, too large for float32, or infinite.

    Parameters
    ----------
    values, strange
        Result of `as_numbers`.
    """
    rows = strange if len(strange) else (values.abs() > LARGEST).arg_true()
    if not len(rows):
        return None
    row = int(rows[0])
    expected = "a number" if len(strange) else f"a number of at most {LARGEST:g}"
    cell = block.frame[name][row]
    out = f"; or {way_out([cell.strip()[:SHOWN]], name)}" if len(strange) else ""
    return (
        f"{block.place(name, row)}: expected {expected}, found {shorten(cell)}. Correct it, leave "
        f"that row out, or leave the cell empty and train with --missing median{out}."
    )


def way_out(cells: Iterable[str], name: str) -> str:
    """Options that turn cells into numbers, or their column into text."""
    numbers = [cell for cell in cells if re.match(WRITTEN, cell)]
    commas = [cell for cell in numbers if "," in cell]
    english = all(re.match(ENGLISH, cell) for cell in commas)
    words = ["--thousands ," if english else "--decimal ,"] if commas else []
    if not english and any(re.search(r"\.\d{3}(\D|$)", cell) for cell in numbers):
        words.append("--thousands .")
    words += [
        f'--thousands "{c}"' for c in " '" if any(c in cell.strip(" %€$£") for cell in numbers)
    ]
    missing = sorted(set(cells) - set(numbers))[:3]
    words += [f"--missing_values{'=' if len(m) > 1 else ' '}{shlex.quote(m)}" for m in missing]
    words += [f"--text {shlex.quote(name)} or --drop {shlex.quote(name)}"]
    return "start with " + ", or ".join([" ".join(words[:-1]), words[-1]] if words[:-1] else words)


class TableError(UserError):
    """Several problems of a table."""

    problems: Sequence[str] = ()


def tell_together(errors: Iterable[UserError]) -> UserError:
    """Combine all problems of a table in one error."""
    told = [problem for error in errors for problem in getattr(error, "problems", [str(error)])]
    if len(told) == 1:
        return UserError(told[0])
    more = [f"… and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    lines = [f"\n  - {problem}" for problem in [*told[:MOST_TOLD], *more]]
    together = TableError(f"{len(told)} problems:{''.join(lines)}")
    together.problems = told
    return together
