"""Learning a table's schema in one pass over its training rows."""

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from libs.datasets.readers.delimited import SHOWN
from libs.datasets.tabular.cells import (
    GAPS,
    MARK,
    MOST_TOLD,
    PLAIN,
    WRITTEN,
    Notation,
    as_numbers,
    as_text,
    number_problem,
    tell_together,
    way_out,
)
from libs.datasets.tabular.dates import DATE, DateStatistics
from libs.datasets.tabular.reading import Block
from libs.datasets.tabular.schema import MEDIAN, REFUSE, Column, Schema, join_names
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

MOST_CATEGORIES = 100
"""Categories above which a text column is dropped."""
NEARLY_EACH = 0.9
"""Fraction of distinct texts from which a column counts as an identifier."""
MOSTLY = 0.9
"""Fraction of numbers from which a column counts as numeric: any other cell is an error."""
LONGEST_TEXT = 200
"""Upper bound on the characters of a text that becomes a feature or a class."""
MOST_EXAMPLES = 3
ANY = ""
"""Pattern that matches every cell."""
ROLES = {"label": "the label", "id": "kept beside the scores", "unused": "as asked"}
"""Roles of columns that the user excluded from the inputs, and how they are described."""
SAMPLE = 2**17
"""Size of the random sample of rows from which medians are computed, if there are more."""


class Learner:
    """Learns a `Schema`.

    Parameters
    ----------
    rows : int
        Number of training rows.
    missing : str
        Of `libs.datasets.tabular.schema.MISSING`.
    roles : mapping of str to str, optional
        Roles of columns that need not be learned ("label", "id", "unused"); a "text" column is
        learned as text whatever it holds.
    notation : Notation
    """

    def __init__(
        self,
        rows: int,
        missing: str = REFUSE,
        roles: Mapping[str, str] = MappingProxyType({}),
        notation: Notation = PLAIN,
    ):
        self.missing = missing
        self.roles = roles
        self.notation = notation
        self._share = min(1.0, SAMPLE / max(1, rows)) if missing == MEDIAN else 0.0
        self._rng = np.random.default_rng(derive_seed(0, "medians"))
        self._columns: dict[str, _ColumnStatistics] = {}

    def add(self, block: Block) -> None:
        """Learn from training rows."""
        names = block.names
        if not self._columns:
            self._columns = {name: _ColumnStatistics(name, self.notation) for name in names}
        if names != tuple(self._columns) and set(names) != set(self._columns):
            odd = sorted(set(names) ^ set(self._columns))
            raise UserError(
                f"{block.source}: other columns than in the first file; only in one of the two: "
                f"{join_names(odd)}"
            )
        sampled = pl.Series(self._rng.random(len(block)) < self._share)
        for name in names:
            if self.roles.get(name, "text") == "text":
                self._columns[name].add(block, sampled)

    def schema(self) -> Schema:
        """The schema learned so far.

        Raises
        ------
        UserError
            If values are missing and refused, a numeric column holds text, a column seems to hold
            numbers in another notation, or no column is left. Reports all of these at once.
        """
        columns, problems = [], []
        for name, seen in self._columns.items():
            role = self.roles.get(name, "")
            try:
                columns.append(seen.column(self.missing, role))
            except UserError as error:
                problems.append(error)
        if problems:
            raise tell_together(problems)
        schema = Schema(tuple(columns), self.notation)
        if not schema.inputs:
            why = "; ".join(f"{c.name}: {c.dropped}" for c in columns[:MOST_TOLD])
            raise UserError(f"no column is left to learn from ({why})")
        return schema


class _ColumnStatistics:
    """Statistics of one column."""

    def __init__(self, name: str, notation: Notation):
        self.name = name
        self.notation = notation
        self.numbers = 0
        self.low, self.high = np.float32(np.inf), np.float32(-np.inf)
        self.sample: list[np.ndarray] = []
        self.strange = 0
        self.written = 0
        self.examples: dict[str, dict[str, None]] = {WRITTEN: {}, MARK: {}, ANY: {}}
        self.problem: str | None = None
        self.texts: Counter[str] = Counter()
        self.longest = 0
        self.dates = [DateStatistics(month_first) for month_first in (False, True)]
        self.undated = 0
        self.gaps = {"number": _Gaps(), "text": _Gaps()}

    def add(self, block: Block, sampled: pl.Series) -> None:
        """Add rows; ``sampled`` marks those from which medians are computed."""
        series = block.frame[self.name]
        values, strange = as_numbers(series, self.notation)
        if len(strange):
            self._add_strange(series.gather(strange).str.strip_chars())
        self.problem = self.problem or number_problem(values, strange, block, self.name)
        self.gaps["number"].add(values.is_null(), block, self.name)
        if self.strange or len(self.texts) <= MOST_CATEGORIES:  # else it is one of many numbers
            self._add_texts(as_text(series, self.notation), block, sampled)
        known = values.drop_nulls()
        self.numbers += len(known)
        if len(known) and not self.problem:
            self.low = min(self.low, np.float32(known.min()))
            self.high = max(self.high, np.float32(known.max()))
            self.sample.append(values.filter(sampled).drop_nulls().to_numpy())

    def _add_strange(self, cells: pl.Series) -> None:
        """Count cells that are not numbers, and those that a person would read as one."""
        self.strange += len(cells)
        self.written += int(cells.str.contains(WRITTEN).sum())
        for pattern, seen in self.examples.items():
            if len(seen) < MOST_EXAMPLES:
                found = cells.filter(cells.str.contains(pattern)).str.head(SHOWN)
                seen |= dict.fromkeys(found[:1000].unique(maintain_order=True)[:MOST_EXAMPLES])

    def _add_texts(self, text: pl.Series, block: Block, sampled: pl.Series) -> None:
        self.gaps["text"].add(text == "", block, self.name)
        there = text.filter(text != "")
        if self.dates:
            self._add_dates(text, sampled)
        self.longest = max(self.longest, there.str.len_chars().max() or 0)
        if len(self.texts) <= MOST_CATEGORIES:
            counts = there.value_counts()
            self.texts.update(dict(zip(*map(list, counts.get_columns()), strict=True)))

    def _add_dates(self, text: pl.Series, sampled: pl.Series) -> None:
        """Learn from dates, until a text is none."""
        known = ~text.str.to_lowercase().is_in(GAPS)
        there = text.filter(known)
        self.undated += len(text) - len(there)
        # the first one tells most columns apart, and quickly
        if len(there) and not (re.match(DATE, there[0]) and there.str.contains(DATE).all()):
            self.dates = []
        for dates in self.dates:
            dates.add(there, sampled.filter(known))

    def column(self, missing: str, role: str = "") -> Column:
        """The learned column."""
        if role in ROLES:
            return Column(self.name, role, ROLES[role])
        if not self.texts:
            return Column(self.name, "text", "no values")
        if role == "text":
            return self._of_texts(missing)
        if self.numbers >= MOSTLY * (self.numbers + self.strange):
            return self._of_numbers(missing)
        if self.dates:
            return self._of_dates(missing)
        self._refuse_written()
        return self._of_texts(missing)

    def _refuse_written(self) -> None:
        """Raise a UserError if a person would read most cells as numbers."""
        many = len(self.texts) > MOST_CATEGORIES
        seem = self.numbers + self.written
        if (self.written or many) and seem > (self.numbers + self.strange) / 2:
            written, marks, cells = map(list, self.examples.values())
            found = [*written[: MOST_EXAMPLES - len(marks[:1])], *marks[:1]] or cells
            shown = ", ".join(map(repr, found))
            raise UserError(
                f"column {self.name!r} seems to hold numbers, but {self.strange} of its cells are "
                f"none as they are written: {shown}. To read them, "
                f"{way_out([*written, *marks] or cells, self.name)}."
            )

    def _of_numbers(self, missing: str) -> Column:
        if self.problem:
            raise UserError(self.problem)
        ends = [self.low, self.high]
        if self.low == self.high or not self.numbers:
            return Column(self.name, "number", "constant" if self.numbers else "no values")
        if missing == REFUSE:
            self.gaps["number"].refuse()
            return Column(self.name, "number")
        known = np.concatenate(self.sample)
        # the sample may hold no value of a nearly empty column
        return Column(self.name, "number", fill=float(np.median(known if len(known) else ends)))

    def _of_dates(self, missing: str) -> Column:
        """Day before month, unless that is no date in some row and month before day always is."""
        fitting = [dates for dates in self.dates if not dates.wrong]
        if not fitting:
            return Column(self.name, "date", "dates, some of which the calendar does not have")
        if self.undated and missing == REFUSE:
            return Column(
                self.name, "date", "dates with gaps; with --missing median they are inputs"
            )
        dates = fitting[0].learned()
        if not dates.parts:
            return Column(self.name, "date", "constant")
        fill = None if missing == REFUSE else fitting[0].median()
        return Column(self.name, "date", fill=fill, dates=dates)

    def _of_texts(self, missing: str) -> Column:
        if len(self.texts) > MOST_CATEGORIES:
            return Column(self.name, "text", f"more than {MOST_CATEGORIES} different texts")
        if self.longest > LONGEST_TEXT:
            return Column(self.name, "text", f"texts of more than {LONGEST_TEXT} characters")
        if len(self.texts) == 1:
            return Column(self.name, "text", "constant")
        if len(self.texts) > max(2, NEARLY_EACH * self.texts.total()):
            return Column(self.name, "text", "a different text in nearly each row")
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
        count = int(missing.sum())
        if count and not self.count:
            self.first = block.place(name, int(missing.arg_true()[0]))
        self.count += count

    def refuse(self) -> None:
        """Raise a UserError if there are any."""
        if self.count:
            raise UserError(
                f"{self.first}: a value is missing (the first of {self.count} training rows "
                "without one in this column). Fill them in, leave such rows out, or start with "
                "--missing median."
            )
