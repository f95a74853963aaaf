"""What the columns of a table are, found out in one pass over its training rows."""

from collections import Counter

import numpy as np
import polars as pl

from libs.datasets.tabular.cells import DATE, DECIMAL_COMMA, as_numbers, as_text, number_error
from libs.datasets.tabular.reading import Block
from libs.datasets.tabular.schema import MEDIAN, REFUSE, Column, Schema
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

MOST_CATEGORIES = 100
"""A column with more different texts is dropped."""
NEARLY_EACH = 0.9
"""A column of text with so many different ones per row is an identifier."""
MOSTLY = 0.9
"""A column with so many numbers is one of numbers: what else is in it is a mistake."""
SAMPLE = 2**17
"""Rows from which medians are taken, where there are more: drawn at random."""


class Learner:
    """Learns a `Schema`.

    Parameters
    ----------
    rows : int
        How many training rows are going to come.
    label : str, optional
        The column with the classes.
    missing : str
        Of `libs.datasets.tabular.schema.MISSING`.
    """

    def __init__(self, rows: int, label: str | None = None, missing: str = REFUSE):
        self.label = label
        self.missing = missing
        self._share = min(1.0, SAMPLE / max(1, rows)) if missing == MEDIAN else 0.0
        self._rng = np.random.default_rng(derive_seed(0, "medians"))
        self._columns: dict[str, _Seen] = {}

    def add(self, block: Block) -> None:
        """Look at training rows."""
        names = block.frame.columns
        if not self._columns:
            self._columns = {name: _Seen(name) for name in names}
        if set(names) != set(self._columns):
            odd = sorted(set(names) ^ set(self._columns))
            raise UserError(
                f"{block.source}: other columns than in the first file; only in one of the two: "
                f"{', '.join(odd[:8])}"
            )
        sampled = pl.Series(self._rng.random(len(block)) < self._share)
        for name in names:
            if name != self.label:
                self._columns[name].add(block, sampled)

    def schema(self) -> Schema:
        """What was learned.

        Raises
        ------
        UserError
            If values are missing and refused, a column of numbers holds text, or no column is left.
        """
        columns = tuple(
            Column(name, "label", "the label") if name == self.label else seen.column(self.missing)
            for name, seen in self._columns.items()
        )
        schema = Schema(columns)
        if not schema.inputs:
            why = "; ".join(f"{c.name}: {c.dropped}" for c in columns)
            raise UserError(f"no column is left to learn from ({why})")
        return schema


class _Seen:
    """What was seen of one column."""

    def __init__(self, name: str):
        self.name = name
        self.numbers = 0
        self.low, self.high = np.float32(np.inf), np.float32(-np.inf)
        self.sample: list[np.ndarray] = []
        self.strange = 0
        self.error: UserError | None = None
        self.texts: Counter[str] = Counter()
        self.dates = True
        self.commas = True
        self.gaps = {"number": _Gaps(), "text": _Gaps()}

    def add(self, block: Block, sampled: pl.Series) -> None:
        """Look at rows; ``sampled`` marks those of which medians are taken."""
        series = block.frame[self.name]
        values, strange = as_numbers(series)
        self.strange += len(strange)
        self.error = self.error or number_error(values, strange, block, self.name)
        self.gaps["number"].add(values.is_null(), block, self.name)
        if self.strange or len(self.texts) <= MOST_CATEGORIES:  # else it is one of many numbers
            self._add_texts(as_text(series), block)
        known = values.drop_nulls()
        self.numbers += len(known)
        if len(known) and not self.error:
            self.low = min(self.low, np.float32(known.min()))
            self.high = max(self.high, np.float32(known.max()))
            self.sample.append(values.filter(sampled).drop_nulls().to_numpy())

    def _add_texts(self, text: pl.Series, block: Block) -> None:
        self.gaps["text"].add(text == "", block, self.name)
        there = text.filter(text != "")
        self.dates &= bool(there.str.contains(DATE).all())
        self.commas &= bool(there.str.contains(DECIMAL_COMMA).all())
        if len(self.texts) <= MOST_CATEGORIES:
            counts = there.value_counts()
            self.texts.update(dict(zip(*map(list, counts.get_columns()), strict=True)))

    def column(self, missing: str) -> Column:
        """The column that it is."""
        if not self.texts:
            return Column(self.name, "text", "no values")
        if self.numbers >= MOSTLY * (self.numbers + self.strange):
            return self._of_numbers(missing)
        if self.commas:
            raise UserError(
                f"column {self.name!r} holds numbers with decimal commas: write them with points"
            )
        if self.dates:
            return Column(self.name, "date", "dates; make numbers of them to use them")
        if len(self.texts) > MOST_CATEGORIES:
            return Column(self.name, "text", f"more than {MOST_CATEGORIES} different texts")
        return self._of_texts(missing)

    def _of_numbers(self, missing: str) -> Column:
        if self.error:
            raise self.error
        ends = [self.low, self.high]
        if self.low == self.high or not self.numbers:
            return Column(self.name, "number", "constant" if self.numbers else "no values")
        if missing == REFUSE:
            self.gaps["number"].refuse()
            return Column(self.name, "number")
        known = np.concatenate(self.sample)
        # of a column that is nearly empty the sample may hold nothing
        return Column(self.name, "number", fill=float(np.median(known if len(known) else ends)))

    def _of_texts(self, missing: str) -> Column:
        if len(self.texts) == 1:
            return Column(self.name, "text", "constant")
        if len(self.texts) > max(2, NEARLY_EACH * self.texts.total()):
            return Column(self.name, "text", "nearly a text of its own in each row")
        fill = None
        if missing == REFUSE:
            self.gaps["text"].refuse()
        else:
            fill = min(self.texts, key=lambda text: (-self.texts[text], text))
        return Column(self.name, "text", "", tuple(sorted(self.texts)), fill)


class _Gaps:
    """Missing values of a column: how many, and where the first one is."""

    def __init__(self):
        self.count = 0
        self.first = ""

    def add(self, missing: pl.Series, block: Block, name: str) -> None:
        rows = missing.arg_true()
        if len(rows) and not self.count:
            self.first = block.place(name, int(rows[0]))
        self.count += len(rows)

    def refuse(self) -> None:
        """Raise a UserError if there are any."""
        if self.count:
            raise UserError(
                f"{self.first}: a value is missing (the first of {self.count} training rows "
                "without one in this column). Fill them in, leave such rows out, or start with "
                "--missing median."
            )
