"""The rows behind the scores, a page at a time; raw files are loaded again, without TensorFlow."""

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Catalog, Missing, Result
from app.queries import FilteredQuery, RowQuery, RowsQuery
from app.schemas import RowDetail, TablePage, TableRow
from app.settings import Settings
from app.shown import Feature, Shown, columns_of
from libs.datasets.splits.rows import Rows
from libs.utils.errors import UserError

if TYPE_CHECKING:
    from app.origins import Origins
    from libs.DataHandler import DataHandler
    from libs.datasets.dataset import DataSet
    from libs.datasets.tabular.schema import Schema

SPLITS = 8
"""Splits of a data set that are kept."""
FEW = 24
"""Columns of a table that a page has unless it asks for all."""


@dataclass
class _Loaded:
    """A data set, its last splits and, of a user's own table, where rows stand in the files."""

    data: "DataSet"
    origins: dict[bool, "Origins"] = field(default_factory=dict)
    """By whether they are those of the separate test file."""

    def __post_init__(self):
        self.handler = lru_cache(SPLITS)(partial(_split, self.data))


def _split(data: "DataSet", rules: str, seed: int) -> "DataHandler":
    """A data set split by rules, as JSON."""
    from libs.DataHandler import DataHandler, SplitRules

    return DataHandler(data, SplitRules(**json.loads(rules)), seed)


class RowSource:
    """Loads data sets when their rows are first asked for, and keeps the last ones.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings):
        self.data_path, self._most = settings.data_path, settings.row_bytes
        self._catalog = Catalog(settings.results, settings.models)
        self._lock = Lock()
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def handler(self, about: dict) -> "DataHandler":
        """The data of a result folder or a model, split as they were.

        Raises
        ------
        UserError
            If the raw files are missing or have changed.
        """
        described = about["data"]
        try:
            rules = json.dumps(described["rules"])
            return self._data(described).handler(rules, described["seed"])
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"the description of the rows of {described['data_set']} is damaged "
                f"({type(error).__name__}: {error}); run the do_ script again"
            ) from error

    def _data(self, described: dict) -> _Loaded:
        """A data set as a manifest describes it."""
        from libs.datasets import registry as datasets  # a second

        key = datasets.identity(described)
        with self._lock:  # two requests load a data set once
            if key not in self._loaded:
                schema = self._kept_schema(key) if described.get("table") else None
                self._loaded[key] = _Loaded(datasets.reload(described, self.data_path, schema))
                while len(self._loaded) > 1 and self._bytes() > self._most:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def _bytes(self) -> int:
        """Memory that the rows take; those of files take none."""
        parts = [d.data for d in self._loaded.values()]
        rows = [x for d in parts for x in (d.x, d.x_test, d.x_val) if x is not None]
        arrays = {id(a): a for a in (x.unscaled.base if isinstance(x, Rows) else x for x in rows)}
        return sum(a.nbytes for a in arrays.values() if not isinstance(a, np.memmap))

    def _kept_schema(self, key: str) -> "Schema | None":
        """The schema that a model of the same rows keeps: quicker than to learn it again."""
        from libs.datasets import registry as datasets
        from libs.datasets.tabular.encoder import Encoder

        for model in self._catalog.models().values():
            if datasets.identity(model.manifest["run"]["data"]) == key:
                try:
                    return Encoder.load(model.folder).schema
                except UserError:  # damaged; another one may be whole
                    continue
        return None

    def _origins(self, described: dict, part: str) -> "Origins | None":
        """Where the rows of a part stand in the files; None unless they are a user's own."""
        if not described.get("table"):
            return None
        from app.origins import Origins
        from libs.datasets.tabular.own import OwnTable

        loaded = self._data(described)
        table = OwnTable.from_description(described["table"], self.data_path)
        separate = part == "test" and table.test_file is not None
        with self._lock:
            if separate not in loaded.origins:
                files = (table.test_file,) if separate else table.files
                loaded.origins[separate] = Origins.of(table, files, loaded.data.schema)
            return loaded.origins[separate]

    def shown(self, result: Result) -> Shown:
        """The rows of a result folder."""
        handler = self.handler(result.about)
        return Shown(handler, result, self._origins(result.about["data"], result.place.part))

    def page(self, result: Result, query: RowsQuery, limit: int) -> TablePage:
        """A page of rows, in raw units if the files are at hand."""
        shown, note = self._try(result)
        kept = self._kept(result, query, shown)
        page = kept[query.offset : query.offset + min(query.limit, limit)]
        features = _chosen(shown, query) if shown else []
        values = shown.values(page, features) if shown else [[]] * len(page)
        return TablePage(
            total=len(kept),
            offset=query.offset,
            columns=columns_of(features),
            more=len(shown.features) - len(features) if shown else 0,
            image=shown.image if shown else None,
            ids=shown.ids if shown else [],
            rows=list(self._rows(result, query, shown, page, values)),
            note=note,
        )

    def table(self, result: Result, query: FilteredQuery) -> Iterator[list]:
        """Every row that passes a filter: a line of heads, then place, class, score, verdict."""
        shown, _ = self._try(result)
        scores, classes = result.run(query.run), result.scores["classes"]
        kept = self._kept(result, query, shown)
        heads, places = ["row"], [[number] for number in kept.tolist()]
        if shown and shown.origins:
            found = shown.origins.places[shown.raw.numbers[kept]]
            heads, places = found.columns, found.iter_rows()
        yield [*heads, "class", "score", "flagged"]
        for number, place in zip(kept.tolist(), places, strict=True):
            score = scores[number]
            yield [*place, classes[number], str(score), int(score > query.threshold)]

    def detail(self, result: Result, query: RowQuery) -> RowDetail:
        """A row beside the normal rows of its view."""
        numbers, y = result.view(query.view)
        if query.row not in numbers:
            raise Missing(f"no row {query.row} in the view {query.view}")
        shown, note = self._try(result)
        at = np.array([query.row])
        values = shown.values(at, shown.features) if shown else [[]]
        (row,) = self._rows(result, query, shown, at, values)
        return RowDetail(
            **dict(row),
            columns=columns_of(shown.features) if shown else [],
            image=shown.image if shown else None,
            ids=shown.ids if shown else [],
            dropped=shown.dropped(query.row) if shown else {},
            normal=shown.usual(query.row, numbers[y == 0]) if shown else [],
            note=note,
        )

    def _try(self, result: Result) -> tuple[Shown | None, str]:
        """The rows, or why there are none."""
        try:
            return self.shown(result), ""
        except UserError as error:
            return None, str(error)

    @staticmethod
    def _kept(result: Result, query: FilteredQuery, shown: Shown | None) -> np.ndarray:
        """Numbers of the rows that pass a filter, in order."""
        numbers, y = result.view(query.view)
        scores = result.run(query.run)[numbers]
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
        key = keys[query.sort][kept]
        if query.feature is not None and shown:
            raw = Rows(shown.raw.base, shown.raw.numbers[numbers[kept]])
            key = shown.feature(query.feature).column(raw)
        order = np.argsort(key, kind="stable")
        return numbers[kept[order[::-1] if query.descending else order]]

    @staticmethod
    def _rows(
        result: Result, query: RowQuery | RowsQuery, shown: Shown | None, page: np.ndarray, values
    ) -> Iterator[TableRow]:
        """Rows by their numbers, with their values."""
        scores, classes = result.run(query.run), result.scores["classes"]
        labels = result.labels(query.view)
        for number, of_row in zip(page.tolist(), values, strict=True):
            yield TableRow(
                row=number,
                score=float(scores[number]),
                label=None if labels is None else int(labels[number]),
                class_=str(classes[number]),
                values=of_row,
                origin=shown.origin(number) if shown else None,
            )


def _chosen(shown: Shown, query: RowsQuery) -> list[Feature]:
    """The columns that a page shows: the first ones, and the one it is sorted by."""
    if query.wide or len(shown.features) <= FEW:
        return shown.features
    return [f for i, f in enumerate(shown.features) if i < FEW or f.name == query.feature]
