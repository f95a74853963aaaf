"""Models at work on tables. TensorFlow starts when the first row must be scored or explained."""

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
from app.rows import RowSource
from app.schemas import Scored, StrongRow
from app.settings import Settings
from libs import Metrics
from libs.utils.errors import UserError

if TYPE_CHECKING:
    from libs.datasets.tabular.encoder import Encoder
    from libs.datasets.tabular.reading import Block
    from libs.detectors.detector import Detector

LOADED = 4
"""Models that are kept in memory."""
STORED = 8
"""Scored tables that can be fetched; older ones are forgotten."""
STRONGEST = 20
"""Rows of a scored table that the page shows."""


class BusyError(UserError):
    """As much is being scored as is done at a time."""


class TooManyError(UserError):
    """More rows came than are taken."""


class Scoring:
    """Loads models when they are first needed; they work for one request at a time.

    Parameters
    ----------
    settings : Settings
    source : RowSource

    Attributes
    ----------
    working : Lock
        Held while a model is loaded or works.
    """

    def __init__(self, settings: Settings, source: RowSource):
        self.settings = settings
        self.source = source
        self.working = Lock()
        self._stored: OrderedDict[str, str] = OrderedDict()
        self._detector = lru_cache(LOADED)(_loaded)
        self._encoder = lru_cache(LOADED)(self._encoder_anew)

    def detector(self, model: Model) -> "Detector":
        """The fitted detector of a model; to be used while `working` is held."""
        return self._detector(model.folder, model.changed)

    def encoder(self, model: Model) -> "Encoder":
        """What reads tables for a model; see `app.tables.encoder_of`."""
        return self._encoder(model)

    def _encoder_anew(self, model: Model) -> "Encoder":
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
    ) -> Iterator[tuple["Block", np.ndarray]]:
        """Each block of a table and its scores (m,).

        Raises
        ------
        UserError
            If the table is not one that the model reads.
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
            yield block, scores

    def example(self, model: Model) -> str:
        """A table that a model reads, as CSV."""
        from app.tables import example

        return example(self.encoder(model))

    def score_file(self, model: Model, path: str, name: str, left: Event) -> Scored:
        """Score an uploaded file; messages call it by the name that it had there.

        It ends early, by a UserError, once ``left`` is set.
        """
        from libs.datasets.tabular.reading import read

        try:
            return self.score_table(model, _while_wanted(read(path), left))
        except UserError as error:
            raise type(error)(str(error).replace(path, name)) from error

    def score_table(self, model: Model, blocks: Iterable["Block"]) -> Scored:
        """Score a table, keep the scores to be fetched, tell the strongest rows."""
        strongest, parts, heads = [], [], []
        for block, scores in self.scored(model, blocks):
            first, heads = sum(map(len, parts)), block.frame.columns
            for i in np.argsort(-scores, kind="stable")[:STRONGEST].tolist():
                values = [str(value) for value in block.frame.row(i)]
                row = StrongRow(row=first + i + 1, score=float(scores[i]), values=values)
                strongest.append(row)
            strongest = sorted(strongest, key=lambda row: -row.score)[:STRONGEST]
            parts.append(scores)
        scores = np.concatenate(parts)
        threshold = threshold_of(model)
        flagged = None if threshold is None else scores > threshold
        return Scored(
            id=self._keep(scores, flagged),
            rows=len(scores),
            flagged=None if flagged is None else int(flagged.sum()),
            threshold=threshold,
            rate=model.manifest["rate"],
            columns=heads,
            strongest=strongest,
        )

    def _keep(self, scores: np.ndarray, flagged: np.ndarray | None) -> str:
        """Keep scores as a table; returns the name by which it can be fetched."""
        from app.tables import as_csv

        columns = {"row": range(1, len(scores) + 1), "score": map(str, scores)}
        if flagged is not None:
            columns["flagged"] = flagged.astype(int)
        name = token_urlsafe(16)
        self._stored[name] = as_csv(columns, zip(*columns.values(), strict=True))
        while len(self._stored) > STORED:
            self._stored.popitem(last=False)
        return name

    def kept(self, name: str) -> str:
        """Scores that `score_table` kept, as CSV."""
        if name not in self._stored:
            raise Missing("these scores are no longer kept: score the table again")
        return self._stored[name]


def _while_wanted(blocks: Iterable["Block"], left: Event) -> Iterator["Block"]:
    for block in blocks:
        if left.is_set():
            raise UserError("nobody waits for these scores any more")
        yield block


def threshold_of(model: Model) -> float | None:
    """Threshold of a model's validation rows; None where it has none, or there were too few."""
    rate, calibration = model.manifest["rate"], model.calibration
    value = Metrics.threshold_at(calibration, rate) if rate and len(calibration) else math.nan
    return value if math.isfinite(value) else None


def _loaded(folder: Path, changed: int) -> "Detector":
    """Load a detector; ``changed`` is the folder's time, so that a new training is read anew."""
    from libs.utils.runtime import start_tensorflow

    start_tensorflow()
    from libs.detectors.detector import Detector

    return Detector.load(folder)
