"""The form of requests."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.catalog import Place

Name = Annotated[str, Field(min_length=1, max_length=300)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Numbers = Annotated[str, Field(max_length=20_000, pattern=r"^(\d{1,12}(,\d{1,12})*)?$")]
"""Row numbers with commas between them."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlaceQuery(_Strict):
    """A result folder."""

    data_set: Name
    protocol: Name
    seed: Annotated[int, Field(ge=0)]
    experiment: Name
    part: Literal["test", "val"] = "test"

    @property
    def place(self) -> Place:
        """The key of the catalogue."""
        return Place(self.data_set, self.protocol, self.seed, self.experiment, self.part)


class RunQuery(PlaceQuery):
    """One view of one run."""

    view: Name
    run: Name


class ThresholdsQuery(RunQuery):
    """The thresholds of a run, or the one of a given false-positive rate."""

    rate: Rate | None = None


class FilteredQuery(RunQuery):
    """The rows of a view that pass a filter, in an order."""

    threshold: Annotated[float, Field(allow_inf_nan=False)]
    filter: Literal["all", "flagged", "false positives", "false negatives"] = "all"
    sort: Literal["row", "score", "class"] = "score"
    feature: Name | None = None
    """A column of the data to sort by instead; it may have any name, such as "score"."""
    descending: bool = True


class RowsQuery(FilteredQuery):
    """A page of rows."""

    offset: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1)] = 25
    wide: bool = False
    """Whether to give all columns of a wide table, not just the first ones."""


class RowQuery(RunQuery):
    """One row."""

    row: Annotated[int, Field(ge=0)]


class ReasonsQuery(RunQuery):
    """Several rows."""

    rows: Numbers


class MarksQuery(PlaceQuery):
    """Rows that a person has looked at: anomalies, and false positives."""

    confirmed: Numbers = ""
    normal: Numbers = ""


class StudyQuery(_Strict):
    """All seeds and experiments of a data set, under one protocol or under all."""

    data_set: Name
    protocol: Name | None = None
    part: Literal["test", "val"] = "test"


class ModelQuery(_Strict):
    """A trained run."""

    model: Name


class UploadQuery(ModelQuery):
    """A model, the name of the file that is sent, and the threshold if not the model's own."""

    name: Name
    rate: Rate | None = None
    """False-positive rate on normal validation rows."""
    alerts: Annotated[int, Field(ge=1)] | None = None
    """Number of rows to flag; takes precedence."""


class ScoredQuery(_Strict):
    """Scores that are kept for download."""

    id: Name
