"""Where the rows of a user's own table stand in its files, and what only the files say of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from app.schemas import Origin
from libs.datasets.tabular.cells import GAPS, as_numbers, as_text
from libs.datasets.tabular.own import OwnTable
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import Column, Schema
from libs.utils.errors import UserError


@dataclass(frozen=True)
class Origins:
    """Places of the rows of some files, in the order of the encoded rows.

    Attributes
    ----------
    names : tuple of str
        Columns that are kept beside the scores.
    files : tuple of str
    file, row, line : (n,) int
        Number of the file; row and line there, from 1. The line of a Parquet file is 0.
    ids : DataFrame
        The columns ``names`` as text.
    filled : dict of (n,) bool
        Of each input whose gaps are filled, the rows without a value.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    file: np.ndarray
    row: np.ndarray
    line: np.ndarray
    ids: pl.DataFrame
    filled: dict[str, np.ndarray]

    @classmethod
    def of(cls, table: OwnTable, files: Sequence[str], schema: Schema) -> "Origins":
        """Read them from the files."""
        fills = [column for column in schema.inputs if column.fill is not None]
        wanted = {*schema.ids, *(column.name for column in fills)}
        places, ids, gaps = [], [], []
        for i, file in enumerate(files):
            for block in read(file, wanted, encoding=table.notation.encoding):
                lines = np.zeros(len(block), int) if block.lines is None else block.lines
                places.append(np.stack([np.full(len(block), i), block.numbers, lines]))
                ids.append(pl.DataFrame([_text(block, name) for name in schema.ids]))
                gaps.append([_gaps(column, block, table) for column in fills])
        filled = zip(*gaps, strict=True) if fills else ()
        return cls(
            schema.ids,
            tuple(files),
            *np.concatenate(places, axis=1),
            pl.concat(ids),
            {
                name: np.concatenate(parts)
                for column, parts in zip(fills, filled, strict=True)
                for name in ((column.name,) if column.categories else column.features)
            },
        )

    def check_length(self, rows: int) -> None:
        """Raise a UserError unless there are so many rows."""
        if len(self.row) != rows:
            raise UserError(
                f"{', '.join(self.files)}: expected {rows:,} rows, found {len(self.row):,}: the "
                "files have changed since they were loaded; start the dashboard again"
            )

    def at(self, i: int) -> Origin:
        """The place of a row."""
        return Origin(
            file=self.files[self.file[i]],
            row=int(self.row[i]),
            line=int(self.line[i]) or None,
            ids=[self.ids[name][i] for name in self.names],
            filled=[name for name, gaps in self.filled.items() if gaps[i]],
        )


def _text(block: Block, name: str) -> pl.Series:
    """A column as text, empty if the file has none of that name."""
    if name in block.frame.columns:
        return as_text(block.frame[name])
    return pl.Series(name, [""] * len(block), pl.String)


def _gaps(column: Column, block: Block, table: OwnTable) -> np.ndarray:
    """Which rows have no value in a column, (n,) bool."""
    series = block.frame[column.name]
    if column.kind == "number":
        return as_numbers(series, table.notation)[0].is_null().to_numpy()
    text = as_text(series, table.notation).str.to_lowercase()
    return text.is_in(("",) if column.categories else GAPS).to_numpy()
