"""Uploaded tables as rows of a detector."""

import csv
import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from app.catalog import Model
from app.rows import RowSource
from app.shown import features_of
from libs.datasets.splits.experiment import Experiment
from libs.datasets.tabular.dates import iso
from libs.datasets.tabular.encoder import FILE, Encoder
from libs.datasets.tabular.schema import Column, Schema


def encoder_of(model: Model, source: RowSource) -> Encoder:
    """The encoder of a model's tables.

    It lies beside the model. Models without one, those of images, take the columns and the scaling
    from the raw files.

    Raises
    ------
    UserError
        If neither is at hand.
    """
    if (model.folder / FILE).is_file():
        return Encoder.load(model.folder)
    about = model.manifest["run"]
    handler = source.handler(about)
    experiment = Experiment.of(about["experiment"])
    low, span = handler.scaling(experiment, about["p_contamination"])
    width = math.prod(handler.data.x.shape[1:])
    features = features_of(handler.data.features or [f"pixel_{i}" for i in range(width)])
    columns = [
        Column(feature.name, "text" if feature.values else "number", categories=feature.values)
        for feature in features
    ]
    low, span = (np.broadcast_to(end, handler.data.x.shape[1:]).ravel() for end in (low, span))
    return Encoder(Schema(tuple(columns)), low, span)


def example(encoder: Encoder) -> str:
    """A table that an encoder reads, as CSV: lowest and highest training values."""
    ends, start = [], 0
    for column in encoder.schema.inputs:
        if column.categories:
            ends.append((column.categories[0], column.categories[-1]))
        elif column.dates is not None:
            ends.append((iso(column.dates.newest),) * 2)
        else:
            low, span = encoder.low[start], encoder.span[start]
            ends.append((short(low), short(low + span)))
        start += len(column.features)
    names = [column.name for column in encoder.schema.inputs]
    return as_csv(names, zip(*ends, strict=True))


def short(value: np.float32) -> float:
    """A number as short as its float32 allows."""
    return float(str(np.float32(value)))


def as_csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()
