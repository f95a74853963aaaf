"""Rows of the data in raw units, column by column as people read them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Missing, Result
from app.schemas import Column, Origin, Usual
from libs.datasets.splits.rows import Rows
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

if TYPE_CHECKING:
    from app.origins import Origins
    from libs.DataHandler import DataHandler
    from libs.datasets.tabular.schema import Schema

COMPARED = 2_000
"""Normal rows that a row is compared with."""
TAKEN = {"file", "row", "line", "class", "score", "flagged"}
"""Heads that files of scores have in any case."""
NOTHING = "–"
"""A text that is none of the categories."""


@dataclass(frozen=True)
class Feature:
    """A column of the data as people read it.

    Attributes
    ----------
    name : str
    columns : tuple of int
        Its features: one, or those of a text column.
    values : tuple of str
        What each feature of a text column stands for; empty for a number.
    """

    name: str
    columns: tuple[int, ...]
    values: tuple[str, ...] = ()

    def column(self, raw: Rows) -> np.ndarray:
        """The column of every row, to sort by."""
        chosen = raw.base[raw.numbers[:, None], self.columns]
        if not self.values:
            return chosen[:, 0]
        names = np.array([*self.values, ""])
        return names[np.where(chosen.any(axis=1), chosen.argmax(axis=1), len(self.values))]

    def read(self, row: np.ndarray) -> float | str:
        """The value of one row; a number as short as its float32 allows."""
        if not self.values:
            return float(str(np.float32(row[self.columns[0]])))
        chosen = row[list(self.columns)]
        return self.values[int(chosen.argmax())] if chosen.any() else NOTHING

    def usual(self, row: np.ndarray, normal: np.ndarray) -> Usual:
        """What is usual among ``normal`` rows (n, features), and how rare the row's value is."""
        if self.values:
            counts = normal[:, self.columns].sum(axis=0) / max(1, len(normal))
            chosen = row[list(self.columns)]
            rarity = counts[chosen.argmax()] if chosen.any() else 1 - counts.sum()
            most = int(counts.argmax())
            return Usual(
                common=self.values[most],
                frequency=float(counts[most]),
                rarity=float(np.clip(rarity, 0, 1)),
                beyond=0,
            )
        value, others = row[self.columns[0]], normal[:, self.columns[0]]
        low, median, high = np.quantile(others, (0.05, 0.5, 0.95)).tolist()
        beyond = max(low - value, value - high, 0.0)
        width = (high - low) or float(np.ptp(others)) or abs(median) or 1.0
        below, above = np.mean(others <= value), np.mean(others >= value)
        return Usual(
            low=low,
            median=median,
            high=high,
            rarity=float(min(below, above)),
            beyond=float(beyond / width),
        )


def features_of(names: Sequence[str]) -> list[Feature]:
    """Columns of a data set; features ``service=http``, ``service=smtp`` are one."""
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
    """Input columns of a user's own table."""
    found, start = [], 0
    for column in schema.inputs:
        numbers = range(start, start := start + len(column.features))
        if column.categories:
            found.append(Feature(column.name, tuple(numbers), column.categories))
        else:  # a date has several
            found += [Feature(name, (i,)) for name, i in zip(column.features, numbers, strict=True)]
    return found


class Shown:
    """Rows of one part of an experiment, as the files have them.

    Parameters
    ----------
    handler : DataHandler
    result : Result
    origins : Origins, optional
        Of a user's own table.

    Attributes
    ----------
    raw : Rows
        In raw units.
    """

    def __init__(self, handler: "DataHandler", result: Result, origins: "Origins | None" = None):
        self.data = handler.data
        raw, classes = handler.raw_rows(result.experiment, result.place.part)
        if not np.array_equal(classes, result.scores["classes"]):
            raise UserError(
                f"the rows of {self.data.name} are not in the order of the scores; run the do_ "
                "script again"
            )
        self.raw = raw.unscaled
        self.origins = origins
        if origins:
            origins.check_length(len(self.raw.base))

    @cached_property
    def image(self) -> tuple[int, int] | None:
        """Height and width of a row that is an image of one channel."""
        shape = tuple(n for n in self.raw.shape[1:] if n > 1)
        return shape if len(shape) == 2 and not self.data.features else None

    @cached_property
    def features(self) -> list[Feature]:
        """What a row's values are; empty for images."""
        if self.image:
            return []
        schema = self.data.schema
        return features_of(self.data.features) if schema is None else features_in(schema)

    @property
    def ids(self) -> list[str]:
        """Names of the columns that are kept beside the scores."""
        return list(self.origins.schema.ids) if self.origins else []

    def origin(self, number: int) -> Origin | None:
        """Where a row of the part stands in the files, if that is known."""
        return self.origins.at(int(self.raw.numbers[number])) if self.origins else None

    def dropped(self, number: int) -> dict[str, str]:
        """What a row has in the columns that are neither inputs nor shown with each row."""
        beside = self.origins.beside(int(self.raw.numbers[number])) if self.origins else {}
        return {name: cell for name, cell in beside.items() if name not in self.ids}

    def values(self, numbers: np.ndarray, features: Sequence[Feature]) -> list[list[float | str]]:
        """Values of rows of the part; pixels from 0 to 1 for images."""
        rows = self.raw[numbers].reshape(len(numbers), math.prod(self.raw.shape[1:]))
        if self.image:
            return (rows / self.data.maximum).round(3).astype(float).tolist()
        return [[feature.read(row) for feature in features] for row in rows]

    def feature(self, name: str) -> Feature:
        """The column of that name."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise Missing(f"{self.data.name} has no column {name!r} to sort by")

    def usual(self, number: int, normal: np.ndarray) -> list[Usual]:
        """What is usual in each column among the ``normal`` rows, or some of them."""
        if self.image:
            return []
        rng = np.random.default_rng(derive_seed(0, "compared"))
        some = self.raw[np.sort(rng.permutation(normal)[:COMPARED])]
        row = self.raw[np.array([number])][0]
        return [feature.usual(row, some) for feature in self.features]


def columns_of(features: Sequence[Feature]) -> list[Column]:
    """Heads of columns."""
    return [Column(name=f.name, text=bool(f.values)) for f in features]
