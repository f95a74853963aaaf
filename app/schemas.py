"""The form of answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


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
    runs: list[str] = []
    """Runs with scores, if the rows have no labels; else see the metrics."""
    problem: str = ""


class Results(BaseModel):
    """All result folders."""

    root: str
    listed: list[Listed]


class Trained(BaseModel):
    """A run on a view, and how it was trained."""

    protocol: str
    experiment: str
    view: str
    run: str
    precision: str
    """Of the products in training; empty if unknown."""
    prevalence: float | None
    rows: float | None
    epochs: float | None
    updates: float | None
    seconds: float | None
    jointly: float | None


class Line(Trained):
    """The metrics of one seed."""

    seed: int
    AUC: float | None
    AP: float | None
    error: str


class Spread(Trained):
    """Mean and deviation over seeds; see `libs.experiments.averages.over_seeds`."""

    label: str
    """The run, with its precision if it was trained in several."""
    seeds: list[int]
    AUC_mean: float | None
    AUC_std: float | None
    AP_mean: float | None
    AP_std: float | None
    errors: list[str]


class Metrics(BaseModel):
    """All metrics of a data set."""

    lines: list[Line]
    spread: list[Spread]
    problems: list[str]


class Threshold(BaseModel):
    """A threshold that does not depend on the rows shown."""

    threshold: float
    name: str
    words: str


class About(BaseModel):
    """What is known of a run besides its scores."""

    unexplained: str
    """Why its scores cannot be explained; empty if they may be."""
    losses: list[float]
    """Training loss of each epoch, from the model's manifest."""
    commands: list[str]
    """What to run next."""


class Column(BaseModel):
    """A column of the data; a text column is one, whatever the number of its features."""

    name: str
    text: bool


class Origin(BaseModel):
    """Where a row stands in the files of a user's own table."""

    file: str
    row: int
    line: int | None
    ids: list[str]
    filled: list[str]
    """Columns whose value was missing in the file."""


class TableRow(BaseModel):
    """A row of a view, in raw units."""

    row: int
    """Its number among the rows of the part."""
    score: float
    label: Literal[0, 1] | None
    """None if rows have no labels."""
    class_: Annotated[str, Field(serialization_alias="class")]
    values: list[float | str]
    origin: Origin | None


class TablePage(BaseModel):
    """A page of rows."""

    total: int
    offset: int
    columns: list[Column]
    more: int
    """Columns that were left out."""
    image: tuple[int, int] | None
    """Height and width, if values are pixels from 0 to 1."""
    ids: list[str]
    """Names of the columns that are kept beside the scores."""
    rows: list[TableRow]
    note: str
    """Why there are no values, if there are none."""


class Usual(BaseModel):
    """What is usual in a column among the normal rows of the view."""

    low: float | None = None
    median: float | None = None
    high: float | None = None
    """5 %, 50 % and 95 % of a number."""
    common: str = ""
    """The most frequent text, and its frequency."""
    frequency: float | None = None
    rarity: float
    """Fraction of normal rows with the row's text, or with a number as far out on its side."""
    beyond: float
    """How far a number is outside 5 % to 95 %, in widths of that range."""


class RowDetail(TableRow):
    """One row, beside the normal rows of the view."""

    columns: list[Column]
    image: tuple[int, int] | None
    ids: list[str]
    dropped: dict[str, str]
    """The row's cells in the other columns that are no inputs."""
    normal: list[Usual]
    note: str


class Contribution(BaseModel):
    """What a column, a pixel or a layer adds to a row's score."""

    name: str
    value: float | str | None
    contribution: float


class Retraining(BaseModel):
    """The command that trains with the marked rows."""

    file: str
    command: str


class Explanation(BaseModel):
    """Why a row has its score."""

    words: str
    contributions: list[Contribution]
    image: tuple[int, int] | None
    """Height and width, if contributions are those of pixels."""
    parts: str
    """What else can be told apart, such as "layers"; empty if nothing."""
    layers: list[Contribution]


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
    """A row of an uploaded table; rows and lines count from 1."""

    row: int
    line: int | None
    score: float
    values: list[str]
    reasons: list[Contribution] = []
    """Columns that raised its score most."""


class Scored(BaseModel):
    """A scored table."""

    id: str
    rows: int
    flagged: int | None
    threshold: float | None
    words: str
    """How the threshold was found, or why there is none."""
    ignored: list[str]
    """Columns that the model does not know."""
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
