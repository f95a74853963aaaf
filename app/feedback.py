"""A user's own table with the labels of the rows that a person has looked at, to train again."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from app.catalog import Missing, Result
from app.queries import MarksQuery
from app.rows import RowSource
from app.schemas import Retraining
from libs.datasets.tabular.cells import as_text
from libs.datasets.tabular.own import UNLABELLED, OwnTable
from libs.datasets.tabular.reading import Block, read
from libs.utils.errors import UserError

CONFIRMED, NORMAL = "confirmed", "normal"
"""Classes of marked rows in a table that has no classes of its own."""


class Feedback:
    """The table of a result folder, and the classes that marked rows get.

    A false positive gets the first normal class, a confirmed row keeps its anomalous class or gets
    the first one.

    Parameters
    ----------
    source : RowSource
    result : Result
    query : MarksQuery

    Raises
    ------
    UserError
        If the rows are not those of a user's own table, or no row is marked.
    """

    def __init__(self, source: RowSource, result: Result, query: MarksQuery):
        about = result.about["data"]
        if not about.get("table"):
            raise UserError(
                f"{about['data_set']} is no table of your own: only do_csv.py's tables take labels"
            )
        self.table = OwnTable.from_description(about["table"], source.data_path)
        self.experiment = result.experiment
        first = read(self.table.files[0], [], encoding=self.table.notation.encoding)
        self.heads = next(first).names
        self.label = self.table.label or "label"
        while self.table.label is None and self.label in self.heads:
            self.label += "_"
        self.classes = self._classes(source, result, query)
        if not self.classes:
            raise UserError("no row is marked: mark rows as confirmed or as false positives first")

    def _classes(
        self, source: RowSource, result: Result, query: MarksQuery
    ) -> dict[tuple[str, int], str]:
        """The class of each marked row by its file and row there."""
        shown, anomalous = source.shown(result), self.experiment.known + self.experiment.unknown
        found = {}
        for rows, class_ in (
            (query.confirmed, anomalous[0] if anomalous else CONFIRMED),
            (query.normal, self.experiment.normal[0] if self.table.label else NORMAL),
        ):
            for row in map(int, filter(None, rows.split(","))):
                if row >= len(shown.raw):
                    raise Missing(f"no row {row} among the {len(shown.raw):,}")
                origin, own = shown.origin(row), str(result.scores["classes"][row])
                keeps = rows is query.confirmed and own in anomalous
                found[origin.file, origin.row] = own if keeps else class_
        return found

    @property
    def name(self) -> str:
        """Name of the table with labels."""
        return f"{Path(self.table.files[0].removesuffix('.gz')).stem}-labelled.csv"

    def retraining(self) -> Retraining:
        """The command that trains on the table."""
        roles = {role: list(classes) for role, classes in vars(self.experiment).items()}
        if self.table.label is None:
            given = set(self.classes.values())
            roles = {"normal": [UNLABELLED, *({NORMAL} & given)], "known": [*({CONFIRMED} & given)]}
        words = ["python", "do_csv.py", self.name, "1", "test", "--label", self.label]
        for role, classes in roles.items():
            words += [f"--{role}", *classes] if classes else []
        return Retraining(file=self.name, command=shlex.join([*words, *_options(self.table)]))

    def lines(self) -> Iterator[str]:
        """The table as CSV: all training files, and the marked rows of a separate test file."""
        heads = list(dict.fromkeys([*self.heads, self.label]))
        yield pl.DataFrame({head: [] for head in heads}).write_csv()
        for file in filter(None, (*self.table.files, self.table.test_file)):
            for block in read(file, encoding=self.table.notation.encoding):
                yield self._labelled(block, file).select(heads).write_csv(include_header=False)

    def _labelled(self, block: Block, file: str) -> pl.DataFrame:
        """Rows of a block with their classes; of a separate test file the marked ones only."""
        frame, decimal = block.frame, self.table.notation.decimal
        marks = pl.Series([self.classes.get((file, row)) for row in block.numbers], dtype=pl.String)
        own = as_text(frame[self.label]) if self.label in frame.columns else None
        text = [
            as_text(column).str.replace(".", decimal, literal=True)
            if column.dtype == pl.Float64
            else column
            for column in frame.get_columns()
        ]
        classes = marks.fill_null(pl.Series([UNLABELLED] * len(marks)) if own is None else own)
        gone = [pl.lit("").alias(head) for head in self.heads if head not in frame.columns]
        frame = pl.DataFrame(text).with_columns(*gone, classes.alias(self.label))
        return frame.filter(marks.is_not_null()) if file == self.table.test_file else frame


def _options(table: OwnTable) -> list[str]:
    """How do_csv.py reads the cells of a table, as it was told before; in UTF-8."""
    notation = table.notation
    given = {
        "missing": [table.missing] if table.missing != "refuse" else [],
        "drop": table.drop,
        "text": table.text,
        "id": table.ids,
        "decimal": [notation.decimal] if notation.decimal != "." else [],
        "thousands": [notation.thousands] if notation.thousands else [],
        "missing_values": notation.missing,
    }
    return [f"--{option}={value}" for option, values in given.items() for value in values]
