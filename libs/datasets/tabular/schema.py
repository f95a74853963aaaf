"""The columns of a table, and encoding its rows as inputs of a network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from libs.datasets.tabular.cells import (
    GAPS,
    PLAIN,
    Notation,
    as_numbers,
    as_text,
    number_problem,
    tell_together,
)
from libs.datasets.tabular.dates import Dates, iso
from libs.datasets.tabular.reading import Block
from libs.utils.errors import UserError, shorten

if TYPE_CHECKING:
    import pandas as pd

REFUSE, MEDIAN = "refuse", "median"
MISSING = (REFUSE, MEDIAN)
"""Treatment of missing values: an error, or the median of the training rows (for text the most
frequent value)."""
MOST_LISTED = 12
"""Kept numbers above which a summary counts them instead of listing each."""


@dataclass(frozen=True)
class Column:
    """A column of a table, as learned from the training rows.

    Attributes
    ----------
    name : str
    kind : {"number", "text", "date", "label", "id", "unused"}
    dropped : str
        Why it is not an input; empty if it is.
    categories : tuple of str
        Values of a text column: one 0/1 feature each. Any other text is all zeros.
    fill : float or str, optional
        Replaces missing values, of dates in days since 1970; None: they are refused.
    dates : Dates, optional
        Reading and features of a column of dates.
    """

    name: str
    kind: str
    dropped: str = ""
    categories: tuple[str, ...] = ()
    fill: float | str | None = None
    dates: Dates | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """Names of its features: its own name, ``protocol=tcp`` or ``when hour`` and so on."""
        if self.dropped:
            return ()
        if self.dates is not None:
            return tuple(f"{self.name} {part}" for part in self.dates.parts)
        return tuple(f"{self.name}={c}" for c in self.categories) or (self.name,)

    def write(self, block: Block, notation: Notation, out: np.ndarray) -> None:
        """Write the features of a block's rows into ``out``, zeros of (n, features) float32."""
        series = block.frame[self.name]
        if self.kind == "text":
            text = as_text(series, notation)
            text = text.replace("", self._fill_value(block, (text == "").arg_true()))
            codes = text.cast(pl.Enum(self.categories), strict=False).to_physical()
            rows = codes.is_not_null().arg_true().to_numpy()
            out[rows, codes.drop_nulls().to_numpy()] = 1
            return
        if self.dates is not None:
            out[:] = self.dates.encode(self._read_dates(block, notation))
            return
        values, strange = as_numbers(series, notation)
        if problem := number_problem(values, strange, block, self.name):
            raise UserError(problem)
        out[:, 0] = values.fill_null(
            self._fill_value(block, values.is_null().arg_true())
        ).to_numpy()

    def _read_dates(self, block: Block, notation: Notation) -> np.ndarray:
        """Dates of a block in days since 1970."""
        text = as_text(block.frame[self.name], notation)
        days, missing = self.dates.read(text), text.str.to_lowercase().is_in(GAPS)
        if len(strange := (days.is_null() & ~missing).arg_true()):
            row = int(strange[0])
            raise UserError(
                f"{block.place(self.name, row)}: expected a date, found {shorten(text[row])}. "
                f"Correct it, leave that row out, or train with --drop {self.name}."
            )
        return days.fill_null(self._fill_value(block, missing.arg_true())).to_numpy()

    def _fill_value(self, block: Block, missing: pl.Series) -> float | str:
        """The value that replaces ``missing`` cells; a UserError if they are refused."""
        if len(missing) and self.fill is None:
            raise UserError(
                f"{block.place(self.name, int(missing[0]))}: a value is missing ({len(missing)} in "
                f"rows {block.numbers[0]} to {block.numbers[-1]}). Fill them in, leave such rows "
                "out, or train with --missing median."
            )
        neutral = "" if self.kind == "text" else 0.0
        return neutral if self.fill is None else self.fill


@dataclass(frozen=True)
class Schema:
    """The columns of a table; learned by `libs.datasets.tabular.learning.Learner`.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the file, the label column included.
    notation : Notation
        Notation of its cells.
    """

    columns: tuple[Column, ...]
    notation: Notation = PLAIN

    @classmethod
    def of_numbers(cls, features: Sequence[str]) -> Self:
        """The schema of rows that are numeric already, from the names of their features."""
        return cls(tuple(Column(name, "number") for name in features))

    @classmethod
    def from_json(cls, columns: Sequence[dict[str, Any]], notation: Notation = PLAIN) -> Self:
        """Undo `to_json`."""

        def column(about: dict[str, Any]) -> Column:
            categories, dates = tuple(about.get("categories", ())), Dates.of(about.get("dates"))
            return Column(**about | {"categories": categories, "dates": dates})

        return cls(tuple(map(column, columns)), notation)

    def to_json(self) -> list[dict[str, Any]]:
        """The columns in JSON."""
        return [asdict(column) for column in self.columns]

    @cached_property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that are inputs."""
        return tuple(column for column in self.columns if not column.dropped)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Names of the columns that are kept beside the scores."""
        return tuple(column.name for column in self.columns if column.kind == "id")

    @cached_property
    def beside(self) -> tuple[str, ...]:
        """Names of the columns that are no inputs; the label is not among them."""
        return tuple(c.name for c in self.columns if c.dropped and c.kind != "label")

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Names of the columns needed to score rows."""
        return frozenset({column.name for column in self.inputs} | set(self.ids))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of all features."""
        return tuple(name for column in self.inputs for name in column.features)

    def encode(self, block: Block) -> np.ndarray:
        """Encode the rows of a block, float32 (n, features); columns are matched by name.

        Raises
        ------
        UserError
            If a column is missing or a cell is invalid; reports the first one per column. Columns
            that were not inputs in training may be absent or hold anything; columns that the
            training rows did not have must not have been read.
        """
        self._check_names(block)
        x = np.zeros((len(block), len(self.features)), np.float32)
        start, problems = 0, []
        for column in self.inputs:
            end = start + len(column.features)
            try:
                column.write(block, self.notation, x[:, start:end])
            except UserError as error:
                problems.append(error)
            start = end
        if problems:
            raise tell_together(problems)
        return x

    def unknown_columns(self, block: Block) -> list[str]:
        """Columns of a file that were absent in training."""
        return sorted(set(block.names) - {column.name for column in self.columns})

    def _check_names(self, block: Block) -> None:
        found = set(block.frame.columns)
        missing = [column.name for column in self.inputs if column.name not in found]
        if missing or found - {column.name for column in self.columns}:
            raise UserError(
                f"{block.source}: other columns than in training; missing: {join_names(missing)}; "
                f"extra: {join_names(self.unknown_columns(block))}. Rename them, or leave them out."
            )

    def summarise(self) -> "pd.DataFrame":
        """A readable row for each column; one for all kept numbers if they are many."""
        import pandas as pd  # a third of a second, which help does not need

        lines, numbers = [], [c for c in self.inputs if c.kind == "number"]
        if many := len(numbers) > MOST_LISTED:
            gaps = "; missing: the median" if any(c.fill is not None for c in numbers) else ""
            lines = [{"column": f"{len(numbers)} numbers", "kind": "number", "use": f"kept{gaps}"}]
        for column in self.columns:
            if many and column in numbers:
                continue
            use = f"dropped: {column.dropped}" if column.dropped else "kept"
            if column.dates is not None:
                use = f"{len(column.features)} features: {column.dates}"
            if column.kind == "text" and not column.dropped:
                use = f"{len(column.categories)} features: {join_names(column.categories, 3)}"
            if column.fill is not None and not column.dropped:
                use += f"; missing: {column.fill if column.dates is None else iso(column.fill)}"
            lines.append({"column": column.name, "kind": column.kind, "use": use})
        return pd.DataFrame(lines)


def join_names(names: Sequence[str], most: int = 8) -> str:
    """Join names for a message: ``a, b, c, … (12)``."""
    words = ", ".join(names[:most]) or "none"
    return words if len(names) <= most else f"{words}, … ({len(names)})"
