"""The rows behind the scores, in raw units: loaded again from the raw files, without TensorFlow."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Missing, Result
from app.schemas import Column, RowDetail, RowQuery, RowsQuery, TablePage, TableRow
from app.settings import Settings
from libs.datasets.splits.rows import Rows
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

if TYPE_CHECKING:
    from libs.DataHandler import DataHandler
    from libs.datasets.dataset import DataSet
    from libs.datasets.tabular.schema import Schema

LOADED = 2
"""Data sets that are kept in memory."""
COMPARED = 2_000
"""Normal rows that a row is compared with."""


@dataclass(frozen=True)
class Feature:
    """A feature as people read it.

    Attributes
    ----------
    name : str
    columns : tuple of int
        Columns of the data set: one, or those of a one-hot feature.
    values : tuple of str
        What each one-hot column stands for; empty for a number.
    """

    name: str
    columns: tuple[int, ...]
    values: tuple[str, ...] = ()

    def column(self, raw: Rows) -> np.ndarray:
        """The feature of every row, to sort by."""
        base, numbers = raw.base, raw.numbers
        while isinstance(base, Rows):
            base, numbers = base.base, base.numbers[numbers]
        chosen = base[numbers[:, None], self.columns]
        if not self.values:
            return chosen[:, 0]
        names = np.array([*self.values, ""])
        return names[np.where(chosen.any(axis=1), chosen.argmax(axis=1), len(self.values))]

    def read(self, row: np.ndarray) -> float | str:
        """The feature of one row; a number as short as its float32 allows."""
        if not self.values:
            return float(str(np.float32(row[self.columns[0]])))
        chosen = row[list(self.columns)]
        return self.values[int(chosen.argmax())] if chosen.any() else "–"


def features_of(names: Sequence[str]) -> list[Feature]:
    """Features of a data set; columns ``service=http``, ``service=smtp`` are one."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for i, name in enumerate(names):
        stem, equals, value = name.partition("=")
        groups.setdefault(stem if equals else name, []).append((i, value if equals else ""))
    return [
        Feature(
            name,
            tuple(i for i, _ in columns),
            tuple(v for _, v in columns) if any(v for _, v in columns) else (),
        )
        for name, columns in groups.items()
    ]


def features_in(schema: "Schema") -> list[Feature]:
    """Features of a table of one's own."""
    found, start = [], 0
    for column in schema.inputs:
        end = start + len(column.features)
        found.append(Feature(column.name, tuple(range(start, end)), column.categories))
        start = end
    return found


class Shown:
    """Rows of one part of an experiment, as the file has them.

    Parameters
    ----------
    handler : DataHandler
    result : Result
    """

    def __init__(self, handler: "DataHandler", result: Result):
        self.data = handler.data
        self.raw, classes = handler.raw_rows(result.experiment, result.place.part)
        if not np.array_equal(classes, result.scores["classes"]):
            raise UserError(
                f"the rows of {self.data.name} are not in the order of the scores; run the do_ "
                "script again"
            )

    @cached_property
    def image(self) -> tuple[int, int] | None:
        """Height and width of a row that is an image of one channel."""
        shape = tuple(n for n in self.raw.shape[1:] if n > 1)
        return shape if len(shape) == 2 and not self.data.features else None

    @cached_property
    def features(self) -> list[Feature]:
        """What a row's values are; nothing for images."""
        if self.image:
            return []
        schema = self.data.schema
        return features_of(self.data.features) if schema is None else features_in(schema)

    @property
    def columns(self) -> list[Column]:
        """Heads of the features."""
        return [Column(name=f.name, text=bool(f.values)) for f in self.features]

    def values(self, numbers: np.ndarray) -> list[list[float | str]]:
        """Values of rows of the part; pixels from 0 to 1 for images."""
        rows = self.raw[numbers].reshape(len(numbers), math.prod(self.raw.shape[1:]))
        if self.image:
            return (rows / self.data.maximum).round(3).astype(float).tolist()
        return [[feature.read(row) for feature in self.features] for row in rows]

    def feature(self, name: str) -> Feature:
        """The feature of that name."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise Missing(f"{self.data.name} has no feature {name!r} to sort by")

    def spread(self, numbers: np.ndarray) -> list[tuple[float, float, float] | None]:
        """5 %, 50 % and 95 % of each number among the given rows, or some of them."""
        if self.image:
            return []
        rng = np.random.default_rng(derive_seed(0, "compared"))
        some = np.sort(rng.permutation(numbers)[:COMPARED])
        quantiles = np.quantile(self.raw[some], (0.05, 0.5, 0.95), axis=0)
        return [
            None if f.values else tuple(float(str(q)) for q in quantiles[:, f.columns[0]])
            for f in self.features
        ]


class RowSource:
    """Loads data sets when their rows are first asked for, and keeps the last few.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings):
        self.data_path = settings.data_path
        self._lock = Lock()
        self._loaded: OrderedDict[str, DataSet] = OrderedDict()

    def handler(self, about: dict) -> "DataHandler":
        """The data of a result folder or a model, split as they were.

        Raises
        ------
        UserError
            If the raw files are missing, or are others.
        """
        from libs.DataHandler import DataHandler, SplitRules
        from libs.datasets import registry as datasets  # a second

        described = about["data"]
        key = datasets.identity(described)
        try:
            with self._lock:  # two requests load a data set once
                if key not in self._loaded:
                    self._loaded[key] = datasets.reload(described, self.data_path)
                self._loaded.move_to_end(key)
                while len(self._loaded) > LOADED:
                    self._loaded.popitem(last=False)
                data = self._loaded[key]
            return DataHandler(data, SplitRules(**described["rules"]), described["seed"])
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"what is said of the rows of {described['data_set']} is damaged "
                f"({type(error).__name__}: {error})"
            ) from error

    def shown(self, result: Result) -> Shown:
        """The rows of a result folder."""
        return Shown(self.handler(result.about), result)

    def page(self, result: Result, query: RowsQuery, limit: int) -> TablePage:
        """One page of a view's rows: filtered, sorted, in raw units as far as files are there."""
        numbers, y = result.view(query.view)
        scores = result.run(query.run)[numbers]
        shown, note = self._try(result)
        flagged = scores > query.threshold
        kept = np.flatnonzero(
            {
                "all": np.ones(len(y), bool),
                "flagged": flagged,
                "false positives": flagged & (y == 0),
                "false negatives": ~flagged & (y == 1),
            }[query.filter]
        )
        keys = {"score": scores, "class": result.scores["classes"][numbers], "row": numbers}
        if query.sort in keys:
            key = keys[query.sort][kept]
        elif shown:
            raw = Rows(shown.raw.base, shown.raw.numbers[numbers[kept]])
            key = shown.feature(query.sort).column(raw)
        else:
            key = numbers[kept]
        order = np.argsort(key, kind="stable")
        kept = kept[order[::-1] if query.descending else order]
        page = kept[query.offset : query.offset + min(query.limit, limit)]
        values = shown.values(numbers[page]) if shown else [[]] * len(page)
        return TablePage(
            total=len(kept),
            offset=query.offset,
            columns=shown.columns if shown else [],
            image=shown.image if shown else None,
            rows=[
                self._row(result, numbers[i], scores[i], y[i], of_row)
                for i, of_row in zip(page, values, strict=True)
            ],
            note=note,
        )

    def detail(self, result: Result, query: RowQuery) -> RowDetail:
        """One row beside the normal rows of its view."""
        numbers, y = result.view(query.view)
        (at,) = np.nonzero(numbers == query.row)
        if not len(at):
            raise Missing(f"no row {query.row} in the view {query.view}")
        shown, note = self._try(result)
        score = result.run(query.run)[query.row]
        values = shown.values(numbers[at])[0] if shown else []
        return RowDetail(
            **dict(self._row(result, query.row, score, y[at[0]], values)),
            columns=shown.columns if shown else [],
            image=shown.image if shown else None,
            normal=shown.spread(numbers[y == 0]) if shown else [],
            note=note,
        )

    def _try(self, result: Result) -> tuple[Shown | None, str]:
        """The rows, or why there are none."""
        try:
            return self.shown(result), ""
        except UserError as error:
            return None, str(error)

    @staticmethod
    def _row(
        result: Result, number: int, score: float, y: int, values: list[float | str]
    ) -> TableRow:
        return TableRow(
            row=int(number),
            score=float(score),
            label=int(y),
            class_=str(result.scores["classes"][number]),
            values=values,
        )
