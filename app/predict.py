"""Scores of records, for `POST /api/predict` and for Cloudera Machine Learning's model endpoint."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from app.catalog import Catalog
from app.queries import Name
from app.schemas import Predicted
from app.scoring import Scoring, threshold_of
from libs.utils.errors import UserError

if TYPE_CHECKING:
    from libs.datasets.tabular.reading import Block

Cell = Annotated[str, Field(max_length=10_000)] | FiniteFloat | None
ID = "id"
"""A field of a record that is returned with its score, unless it is a column of the model."""
LONGEST = 2_000
"""Upper bound on the fields of a record."""


class Request(BaseModel):
    """The records to score."""

    model_config = ConfigDict(extra="forbid")

    model: Name | None = None
    """Default: the only model there is."""
    data: Annotated[
        list[Annotated[dict[Name, Cell], Field(min_length=1, max_length=LONGEST)]],
        Field(min_length=1),
    ]
    """Records, all with the same fields: the model's columns in raw units, and "id" if wanted."""


def predict(args: Any, catalog: Catalog, scoring: Scoring) -> dict[str, Any]:
    """Score records.

    Parameters
    ----------
    args : dict
        See `Request`: ``{"model": "digits/a3/706/…/A3-n100", "data": [{"pixel_0": 0, …}, …]}``.
    catalog : Catalog
    scoring : Scoring

    Returns
    -------
    dict
        See `app.schemas.Predicted`.

    Raises
    ------
    UserError
        If anything about ``args`` is not as expected; names the record and the field.
    """
    try:
        request = Request.model_validate(args)
    except ValidationError as error:
        raise UserError(_plain(error)) from error
    scoring.check_rows(len(request.data), "data")
    _check_fields(request.data)
    model = catalog.model(request.model) if request.model else catalog.only_model()
    expected = scoring.encoder(model).schema.inputs
    has_id = ID in request.data[0] and ID not in {column.name for column in expected}
    ids = [str(record.pop(ID)) for record in request.data] if has_id else []
    block = _block(request.data)
    scores = np.concatenate([part for *_, part in scoring.scored(model, [block])])
    threshold = threshold_of(model)
    return Predicted(
        model=model.name,
        threshold=threshold,
        ids=ids or list(map(str, range(len(scores)))),
        scores=scores.tolist(),
        predictions=None if threshold is None else (scores > threshold).astype(int).tolist(),
    ).model_dump()


def _check_fields(records: Sequence[dict[str, Any]]) -> None:
    """Raise a UserError unless all records have the same fields."""
    for i, record in enumerate(records):
        if record.keys() != records[0].keys():
            odd = sorted(record.keys() ^ records[0].keys())
            raise UserError(
                f"data: record {i} and record 0 have different fields: {', '.join(odd[:8])} is in "
                "one of them only; give all records the same"
            )


def _block(records: Sequence[dict[str, Any]]) -> "Block":
    """Records as a block of a table, numbered from 0."""
    import polars as pl

    from libs.datasets.tabular.reading import Block

    frame = {}
    for name in records[0]:
        values = [record[name] for record in records]
        if any(isinstance(value, str) for value in values):
            frame[name] = pl.Series(["" if v is None else str(v) for v in values], dtype=pl.String)
        else:
            frame[name] = pl.Series(values, dtype=pl.Float64)
    return Block(pl.DataFrame(frame), "data", range(len(records)))


def _plain(error: ValidationError) -> str:
    """The first few problems, in one line."""
    found = error.errors(include_url=False, include_input=False)[:4]
    told = [f"{'.'.join(map(str, e['loc'])) or 'the request'}: {e['msg']}" for e in found]
    return "; ".join(told) + '. Expected {"model": NAME, "data": [{COLUMN: VALUE, …}, …]}'
