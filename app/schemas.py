"""What requests must look like and what answers look like."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.catalog import Place

Name = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlaceQuery(_Strict):
    """Names one result folder."""

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
    """Names one view of one run."""

    view: Name
    run: Name


class RowsQuery(RunQuery):
    """Asks for a page of rows."""

    threshold: Annotated[float, Field(allow_inf_nan=False)]
    filter: Literal["all", "flagged", "false positives", "false negatives"] = "all"
    sort: Name = "score"
    descending: bool = True
    offset: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1)] = 25


class RowQuery(RunQuery):
    """Asks for one row."""

    row: Annotated[int, Field(ge=0)]


class StudyQuery(_Strict):
    """Names all seeds and experiments of a data set under a protocol."""

    data_set: Name
    protocol: Name
    part: Literal["test", "val"] = "test"


class Listed(BaseModel):
    """A result folder."""

    data_set: str
    protocol: str
    seed: int
    experiment: str
    part: str
    views: dict[str, str]
    """Each view in words: normal against DoS, Probe."""
    base: str
    """The experiment's name without its pollution."""
    p_contamination: float
    changed: float
    """Seconds since 1970."""
    problem: str = ""


class Results(BaseModel):
    """All result folders."""

    root: str
    listed: list[Listed]


class Trained(BaseModel):
    """What one run on one view was trained on and measured against."""

    prevalence: float | None
    rows: float | None
    epochs: float | None
    updates: float | None
    seconds: float | None
    jointly: float | None


class Line(Trained):
    """One run on one view for one seed."""

    experiment: str
    seed: int
    view: str
    run: str
    AUC: float | None
    AP: float | None
    error: str


class Spread(Trained):
    """One run on one view over its seeds; see `libs.experiments.result_tables.over_seeds`."""

    experiment: str
    view: str
    run: str
    seeds: list[int]
    AUC_mean: float | None
    AUC_std: float | None
    AP_mean: float | None
    AP_std: float | None
    errors: list[str]


class Metrics(BaseModel):
    """All numbers of a data set under a protocol."""

    lines: list[Line]
    spread: list[Spread]
    problems: list[str]


class Threshold(BaseModel):
    """A threshold that did not come from the rows shown."""

    threshold: float
    name: str
    words: str


class Column(BaseModel):
    """A feature as people read it; one-hot columns are one of these."""

    name: str
    text: bool


class TableRow(BaseModel):
    """A row of a view, in raw units."""

    row: int
    """Its number among the rows of the part."""
    score: float
    label: Literal[0, 1]
    class_: Annotated[str, Field(serialization_alias="class")]
    values: list[float | str]


class TablePage(BaseModel):
    """A page of rows."""

    total: int
    offset: int
    columns: list[Column]
    image: tuple[int, int] | None
    """Height and width, if values are pixels from 0 to 1."""
    rows: list[TableRow]
    note: str
    """Why there are no values, if there are none."""


class RowDetail(TableRow):
    """One row, beside the normal rows of the view."""

    columns: list[Column]
    image: tuple[int, int] | None
    normal: list[tuple[float, float, float] | None]
    """5 %, 50 % and 95 % of each numeric feature among normal rows."""
    note: str


class Contribution(BaseModel):
    """What a feature, a pixel or a layer adds to a row's score."""

    name: str
    value: float | str | None
    contribution: float


class Explanation(BaseModel):
    """Why a row has its score."""

    words: str
    contributions: list[Contribution]
    image: tuple[int, int] | None
    """Height and width, if contributions are those of pixels."""
    layers: list[Contribution]
    """Of the target, for A3."""


class ModelQuery(_Strict):
    """Names a trained run."""

    model: Name


class UploadQuery(ModelQuery):
    """Names a model and the file that is sent."""

    name: Name


class ScoredQuery(_Strict):
    """Names scores that are kept for download."""

    id: Name


class Models(BaseModel):
    """All trained runs, and how much may be sent to them."""

    root: str
    upload_bytes: int
    upload_rows: int
    names: list[str]
    """data set/protocol/seed/experiment/run"""


class Expected(BaseModel):
    """What a table must look like for a model."""

    names: list[str]
    threshold: float | None
    rate: float | None


class StrongRow(BaseModel):
    """A row of an uploaded table; rows count from 1."""

    row: int
    score: float
    values: list[str]


class Scored(BaseModel):
    """A scored table."""

    id: str
    rows: int
    flagged: int | None
    threshold: float | None
    rate: float | None
    columns: list[str]
    strongest: list[StrongRow]


class Predicted(BaseModel):
    """Scores of records, in their order."""

    model: str
    threshold: float | None
    ids: list[str]
    scores: list[float]
    predictions: list[Literal[0, 1]] | None
    """1 above the threshold; None without one."""
