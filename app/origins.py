"""Where the rows of a user's own table stand in its files, and what only the files say of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from app.schemas import Origin
from app.shown import TAKEN
from libs.datasets.tabular.cells import GAPS, as_numbers, as_text, identify
from libs.datasets.tabular.own import OwnTable
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import Column, Schema
from libs.utils.errors import UserError


@dataclass(frozen=True)
class Origins:
    """Places of the rows of some files, in the order of the encoded rows.

    Attributes
    ----------
    schema : Schema
    files : tuple of str
    places : DataFrame
        Of all columns that are no inputs; see `libs.datasets.tabular.cells.identify`.
    filled : dict of (n,) bool
        Of each input whose gaps are filled, the rows without a value.
    """

    schema: Schema
    files: tuple[str, ...]
    places: pl.DataFrame
    filled: dict[str, np.ndarray]

    @classmethod
    def of(cls, table: OwnTable, files: Sequence[str], schema: Schema) -> "Origins":
        """Read them from the files."""
        fills = [column for column in schema.inputs if column.fill is not None]
        wanted = {*schema.beside, *(column.name for column in fills)}
        places, gaps = [], []
        for file in files:
            for block in read(file, wanted, encoding=table.notation.encoding):
                places.append(identify(block, schema.beside, TAKEN))
                gaps.append([_gaps(column, block, table) for column in fills])
        filled = zip(*gaps, strict=True) if fills else ()
        return cls(
            schema,
            tuple(files),
            pl.concat(places),
            {
                name: np.concatenate(parts)
                for column, parts in zip(fills, filled, strict=True)
                for name in ((column.name,) if column.categories else column.features)
            },
        )

    def check_length(self, rows: int) -> None:
        """Raise a UserError unless there are so many rows."""
        if len(self.places) != rows:
            raise UserError(
                f"{', '.join(self.files)}: expected {rows:,} rows, found {len(self.places):,}: the "
                "files have changed since they were loaded; start the dashboard again"
            )

    def at(self, i: int) -> Origin:
        """The place of a row."""
        file, row, line, *_ = self.places.row(i)
        beside = self.beside(i)
        return Origin(
            file=file,
            row=row,
            line=line,
            ids=[beside[name] for name in self.schema.ids],
            filled=[name for name, gaps in self.filled.items() if gaps[i]],
        )

    def beside(self, i: int) -> dict[str, str]:
        """The cells of a row in the columns that are no inputs; empty if the file has none."""
        cells = self.places.row(i)[-len(self.schema.beside) :] if self.schema.beside else ()
        return {n: cell or "" for n, cell in zip(self.schema.beside, cells, strict=True)}


def _gaps(column: Column, block: Block, table: OwnTable) -> np.ndarray:
    """Which rows have no value in a column, (n,) bool."""
    series = block.frame[column.name]
    if column.kind == "number":
        return as_numbers(series, table.notation)[0].is_null().to_numpy()
    text = as_text(series, table.notation).str.to_lowercase()
    return text.is_in(("",) if column.categories else GAPS).to_numpy()
