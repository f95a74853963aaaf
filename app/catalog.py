"""Result and model folders. A request gives a name from their list, never a path.

Every folder that is opened was found by listing the disk; names in requests are looked up there.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from app.folders import Folders
from libs.datasets.splits.experiment import NATURAL, Experiment, view_labels
from libs.experiments.stored_runs import DESCRIPTION, row_names
from libs.utils.errors import UserError
from libs.utils.storage import MANIFEST, read_arrays

PARTS = ("test", "val")
ALL = "all"
"""The view of every row, where no view has metrics because the rows have no labels."""
KEPT = 8
"""Number of result folders whose scores are kept in memory."""
READ = 4096
"""Number of descriptions and manifests kept in memory."""


Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Known(BaseModel):
    """The entries of a description that are needed; with extra="allow" all others are kept."""

    model_config = ConfigDict(strict=True)


class _Rules(_Known):
    """See `libs.DataHandler.SplitRules`."""

    model_config = ConfigDict(extra="allow")
    test: FiniteFloat = 0.5
    validation: FiniteFloat = 0.5
    test_seed: Count | None = None
    test_rows: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None


class _Data(_Known):
    """The entries needed to load the rows again."""

    model_config = ConfigDict(extra="allow")
    data_set: str
    fingerprint: str
    rules: _Rules
    seed: Count
    normal_by: str | None = None
    table: dict[str, Any] | None = None


class _Classes(_Known):
    normal: Annotated[list[str], Field(min_length=1)]
    known: list[str] = []
    unknown: list[str] = []


class _Description(_Known):
    """The entries of ``experiment.json`` that are needed."""

    data: _Data
    p_contamination: Annotated[FiniteFloat, Field(ge=0, le=NATURAL)]
    experiment: _Classes


class _Training(_Known):
    losses: list[FiniteFloat] = []


class _Manifest(_Known):
    """The entries of a model's manifest that are needed."""

    budgets: list[Count] | None
    rate: Annotated[float, Field(gt=0, lt=1)] | None
    input_shape: Annotated[list[Annotated[int, Field(gt=0, lt=2**31)]], Field(min_length=1)]
    run: _Description
    training: _Training = _Training()
    explained_by: str | None = ""


class Missing(UserError):
    """A name that is not in the list."""


@dataclass(frozen=True, order=True)
class Place:
    """The names of the folders above a result folder, and its own."""

    data_set: str
    protocol: str
    seed: int
    experiment: str
    part: str


@dataclass(frozen=True)
class Result:
    """A result folder and the description of its rows."""

    place: Place
    folder: Path
    about: dict[str, Any]
    experiment: Experiment

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Scores (n,) of each run, and under "classes" the class of each row."""
        path = self.folder / "scores.npz"
        if not path.is_file():
            command = f"python evaluate_models.py {self.place.seed} {self.place.part}"
            raise Missing(
                f"{path} is not there: run {command}, or the do_ script where no model is"
            )
        try:
            return _scores(path, path.stat().st_ctime_ns)
        except (OSError, UserError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read ({type(error).__name__}: {error}); run the do_ script or "
                "evaluate_models.py again, which writes it anew"
            ) from error

    def run(self, name: str) -> np.ndarray:
        """Scores of one run."""
        if name == "classes" or name not in self.scores:
            raise Missing(f"no scores of a run {name!r} in {self.folder}")
        return self.scores[name]

    @property
    def views(self) -> list[str]:
        """Views that have metrics; `ALL` if there is none."""
        views = self.experiment.views
        return [v for v in views if (self.folder / f"{v}.metric.csv").is_file()] or [ALL]

    def view(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of a view, and 1 for each anomaly; without labels all are 0."""
        if name not in self.views:
            raise Missing(f"no view {name!r} of {self.experiment.name}")
        classes = self.scores["classes"]
        if name == ALL:
            return np.arange(len(classes)), np.zeros(len(classes), int)
        mask, y = view_labels(self.experiment, name, classes)
        return np.flatnonzero(mask), y

    def labels(self, view: str) -> np.ndarray | None:
        """1 for each anomaly among all rows; None without labels."""
        if view == ALL:
            return None
        return np.isin(self.scores["classes"], self.experiment.views[view]).astype(int)


@dataclass(frozen=True)
class Model:
    """A score column of a trained run on disk.

    Attributes
    ----------
    name : str
        ``<data set>/<protocol>/<seed>/<experiment>/<run>``, as requests have it.
    folder : Path
    column : int
        Number of its label budget within the run.
    changed : int
        When the manifest was written, in nanoseconds.
    manifest : dict
    """

    name: str
    folder: Path
    column: int
    changed: int
    manifest: dict[str, Any] = field(compare=False, repr=False)

    @property
    def budget(self) -> int | None:
        """Its label budget; None for a method without labels."""
        budgets = self.manifest["budgets"]
        return budgets[self.column] if budgets else None

    @property
    def calibration(self) -> np.ndarray:
        """Sorted scores of normal validation rows; empty where there are none."""
        try:
            return read_arrays(self.folder / "calibration.npz")["scores"][:, self.column]
        except (UserError, KeyError, IndexError):
            return np.empty(0, np.float32)


class Catalog:
    """Lists result and model folders.

    Parameters
    ----------
    results, models : Path
    """

    def __init__(self, results: Path, models: Path):
        self.root = Path(results)
        self.models_root = Path(models)
        self._results = Folders(self.root, 5, _places)
        self._models = Folders(self.models_root, 6, tuple)

    def results(self) -> dict[Place, Path]:
        """Every result folder; the same object while there are no other folders."""
        return self._results.look()

    def result(self, place: Place) -> Result:
        """The result folder of that name.

        Raises
        ------
        Missing
            If there is none.
        UserError
            If it is damaged.
        """
        folder = self.results().get(place)
        if folder is None:
            raise Missing(f"no {place.part} results of {place.experiment} in {self.root}")
        return Result(place, folder, *described(folder))

    def models(self) -> dict[str, Model]:
        """Every trained run, by name."""
        found = {}
        for folder in self._models.look():
            path = folder / MANIFEST
            try:
                changed = path.stat().st_ctime_ns
                manifest = _manifest(path, changed)
            except (OSError, ValueError, RecursionError):
                continue  # unfinished, foreign or damaged
            place = "/".join(folder.parts[-6:-2])
            for column, run in enumerate(row_names(folder.parent.name, manifest["budgets"] or ())):
                name = f"{place}/{run}"
                found[name] = Model(name, folder, column, changed, manifest)
        return found

    def model(self, name: str) -> Model:
        """The trained run of that name.

        Raises
        ------
        Missing
            If there is none.
        """
        found = self.models().get(name)
        if found is None:
            raise Missing(f"no model {name} in {self.models_root}; train it with its do_ script")
        return found

    def only_model(self) -> Model:
        """The only model there is.

        Raises
        ------
        Missing
            If there is none, or several.
        """
        found = self.models()
        if len(found) != 1:
            names = f": {', '.join(list(found)[:4])} …" if found else ""
            raise Missing(f"model: name one of the {len(found)} in {self.models_root}{names}")
        return next(iter(found.values()))


def model_name(place: Place, run: str) -> str:
    """The name in `Catalog.models` of the run that gave a result."""
    return f"{place.data_set}/{place.protocol}/{place.seed}/{place.experiment}/{run}"


def _places(folders: Sequence[Path]) -> dict[Place, Path]:
    """The folders that hold results."""
    found = {}
    for path in folders:
        *_, data_set, protocol, seed, experiment, part = path.parts
        if part in PARTS and seed.isdecimal() and (path / DESCRIPTION).is_file():
            found[Place(data_set, protocol, int(seed), experiment, part)] = path
    return found


def described(folder: Path) -> tuple[dict[str, Any], Experiment]:
    """The description of a result folder, and its experiment.

    Raises
    ------
    UserError
        If its description is damaged.
    """
    path = folder / DESCRIPTION
    try:
        about = _description(path, path.stat().st_ctime_ns)
        return about, Experiment.of(about["experiment"])
    except (OSError, ValueError, RecursionError, TypeError, UserError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); run the do_ script or "
            "evaluate_models.py again, which writes it anew"
        ) from error


@lru_cache(KEPT)
def _scores(path: Path, changed: int) -> dict[str, np.ndarray]:
    """Read scores; ``changed`` is the file's time of change, so that a new one is read anew."""
    found = read_arrays(path)
    n = len(found["classes"])
    strange = [name for name, values in found.items() if values.shape != (n,)]
    strange += [k for k, v in found.items() if v.dtype.kind == "f" and not np.isfinite(v).all()]
    if strange:
        raise ValueError(f"not {n} finite scores of {', '.join(strange)}")
    return found


@lru_cache(READ)
def _description(path: Path, changed: int) -> dict[str, Any]:
    """Read a description; see `_scores`."""
    return _Description.model_validate(json.loads(path.read_text())).model_dump(exclude_unset=True)


@lru_cache(READ)
def _manifest(path: Path, changed: int) -> dict[str, Any]:
    """Read a model's manifest; see `_scores`."""
    return _Manifest.model_validate(json.loads(path.read_text())).model_dump(exclude_unset=True)
