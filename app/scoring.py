"""Models that score tables. TensorFlow starts when the first row is scored or explained."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from secrets import token_urlsafe
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Missing, Model
from app.queries import UploadQuery
from app.rows import RowSource
from app.schemas import Contribution, Scored, StrongRow
from app.settings import Settings
from app.shown import TAKEN
from libs import Metrics
from libs.experiments.next_commands import REASONS
from libs.utils.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from libs.datasets.tabular.encoder import Encoder
    from libs.datasets.tabular.reading import Block
    from libs.detectors.detector import Detector

LOADED = 4
"""Models that are kept in memory."""
STORED = 8
"""Scored tables that can be downloaded; older ones are forgotten."""
STRONGEST = 20
"""Rows of a scored table that the page shows."""


class BusyError(UserError):
    """As much is being scored as is done at a time."""


class TooManyError(UserError):
    """A table with too many rows."""


class Scoring:
    """Loads models when they are first needed; they serve one request at a time.

    Parameters
    ----------
    settings : Settings
    source : RowSource

    Attributes
    ----------
    working : Lock
        Held while a model is loaded or used.
    """

    def __init__(self, settings: Settings, source: RowSource):
        self.settings = settings
        self.source = source
        self.working = Lock()
        self._stored: OrderedDict[str, str] = OrderedDict()
        self._detector = lru_cache(LOADED)(_load_detector)
        self._encoder = lru_cache(LOADED)(self._load_encoder)

    def detector(self, model: Model) -> "Detector":
        """The fitted detector of a model; to be used while `working` is held."""
        return self._detector(model.folder, model.changed)

    def encoder(self, model: Model) -> "Encoder":
        """The encoder of a model's tables; see `app.tables.encoder_of`."""
        return self._encoder(model)

    def _load_encoder(self, model: Model) -> "Encoder":
        from app.tables import encoder_of  # a second, as what follows it

        return encoder_of(model, self.source)

    def check_rows(self, rows: int, source: str) -> None:
        """Raise a TooManyError if a table has more rows than the settings allow."""
        if rows > self.settings.upload_rows:
            raise TooManyError(
                f"{source} has more than the {self.settings.upload_rows:,} rows that the dashboard "
                "takes; score.py takes any number"
            )

    def scored(
        self, model: Model, blocks: Iterable["Block"]
    ) -> Iterator[tuple["Block", np.ndarray, np.ndarray]]:
        """Each block of a table with its rows as the model takes them and their scores (m,).

        Raises
        ------
        UserError
            If the model cannot read the table.
        TooManyError
            If it has more rows than the settings allow.
        """
        encoder, taken = self.encoder(model), 0
        for block in blocks:
            taken += len(block)
            self.check_rows(taken, block.source)
            rows = encoder.rows(block).reshape(-1, *model.manifest["input_shape"])
            with self.working:
                scores = self.detector(model).decision_matrix(rows)[:, model.column]
            yield block, rows, scores

    def example(self, model: Model) -> str:
        """A table that a model reads, as CSV."""
        from app.tables import example

        return example(self.encoder(model))

    def score_file(self, model: Model, path: str, query: UploadQuery, left: Event) -> Scored:
        """Score an uploaded file; messages give the name that the user's file has.

        It ends early, by a UserError, once ``left`` is set.
        """
        from libs.datasets.tabular.reading import read

        schema = self.encoder(model).schema
        try:
            wanted = schema.wanted.union(schema.beside)
            blocks = read(path, wanted, encoding=schema.notation.encoding)
            return self._score_table(model, _while_wanted(blocks, left), query)
        except UserError as error:
            raise type(error)(str(error).replace(path, query.name)) from error

    def _score_table(self, model: Model, blocks: Iterable["Block"], query: UploadQuery) -> Scored:
        """Score a table, keep the scores for download, explain the strongest rows."""
        import polars as pl

        from libs.datasets.tabular.cells import identify

        strongest, parts, kept = [], [], []
        schema = self.encoder(model).schema
        for block, rows, scores in self.scored(model, blocks):
            for i in np.argsort(-scores, kind="stable")[:STRONGEST].tolist():
                row = StrongRow(
                    row=block.numbers[i],
                    line=None if block.lines is None else int(block.lines[i]),
                    score=float(scores[i]),
                    values=[str(value) for value in block.frame.row(i)],
                )
                strongest.append((row, rows[i]))
            strongest = sorted(strongest, key=lambda pair: -pair[0].score)[:STRONGEST]
            parts.append(scores)
            there = [name for name in schema.beside if name in block.frame.columns]
            kept.append(identify(block, there, TAKEN).with_columns(file=pl.lit(query.name)))
        scores = np.concatenate(parts)
        threshold, words = _threshold(model, scores, query)
        flagged = None if threshold is None else scores > threshold
        self._explain(model, strongest)
        return Scored(
            id=self._keep(kept, scores, flagged),
            rows=len(scores),
            flagged=None if flagged is None else int(flagged.sum()),
            threshold=threshold,
            words=words,
            ignored=schema.unknown_columns(block),
            columns=block.frame.columns,
            strongest=[row for row, _ in strongest],
        )

    def _explain(self, model: Model, strongest: list[tuple[StrongRow, np.ndarray]]) -> None:
        """Add the reasons to rows with named columns if the model can explain scores."""
        inputs = self.encoder(model).schema.inputs
        with self.working:
            detector = self.detector(model)
            named = len(model.manifest["input_shape"]) == 1
            if not named or detector.explained_by is None or detector.lacks_reference:
                return
            from libs.experiments.scorer import strongest_columns

            rows = np.stack([rows for _, rows in strongest])
            found = detector.explain(rows, model.budget).contributions
        names, values = strongest_columns(found, inputs, min(REASONS, len(inputs)))
        for (row, _), of_row, shares in zip(strongest, names, values, strict=True):
            row.reasons = [
                Contribution(name=name, value=None, contribution=float(share))
                for name, share in zip(of_row, shares, strict=True)
                if share > 0
            ]

    def _keep(
        self, places: list["pl.DataFrame"], scores: np.ndarray, flagged: np.ndarray | None
    ) -> str:
        """Keep scores as a table; returns the name by which it can be downloaded."""
        import polars as pl

        from app.tables import as_csv

        table = pl.concat(places).with_columns(score=pl.Series(list(map(str, scores))))
        if flagged is not None:
            table = table.with_columns(flagged=pl.Series(flagged.astype(int)))
        name = token_urlsafe(16)
        self._stored[name] = as_csv(table.columns, table.iter_rows())
        while len(self._stored) > STORED:
            self._stored.popitem(last=False)
        return name

    def kept(self, name: str) -> str:
        """Scores of an uploaded table, as CSV."""
        if name not in self._stored:
            raise Missing("these scores are no longer kept: score the table again")
        return self._stored[name]


def _while_wanted(blocks: Iterable["Block"], left: Event) -> Iterator["Block"]:
    for block in blocks:
        if left.is_set():
            raise UserError("nobody waits for these scores any more")
        yield block


def threshold_of(model: Model, rate: float | None = None) -> float | None:
    """The threshold with a false-positive rate on validation rows; default: the model's own rate.

    None if there is no rate, or there are too few rows for it.
    """
    rate, calibration = rate or model.manifest["rate"], model.calibration
    value = Metrics.threshold_at(calibration, rate) if rate and len(calibration) else math.nan
    return value if math.isfinite(value) else None


def _threshold(model: Model, scores: np.ndarray, query: UploadQuery) -> tuple[float | None, str]:
    """The threshold that an upload asks for, and how it was found."""
    if query.alerts is not None:
        finite = np.nextafter(scores.min(), np.float32(-np.inf))
        value = max(finite, Metrics.threshold_for([scores], query.alerts))
        return float(value), f"at most {query.alerts:,} rows are above it"
    rate, threshold = query.rate or model.manifest["rate"], threshold_of(model, query.rate)
    if threshold is None:
        words = "there are too few normal validation rows"
        return None, f"{words} for a rate of {rate:.2%}" if rate else f"{words} in the model"
    return threshold, f"{rate:.2%} of the model's normal validation rows are above it"


def _load_detector(folder: Path, changed: int) -> "Detector":
    """Load a detector; a new training changes the time ``changed``, and is loaded."""
    from libs.experiments.model_folders import load_model

    return load_model(folder)
