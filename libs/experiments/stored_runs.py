"""Finished trainings on disk, ``<experiment>/<method>/<run>/``, and the result rows they give."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from libs.experiments.settings import Conditions
from libs.utils import storage
from libs.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd  # half a second, for gates only

log = logging.getLogger("a3")
DESCRIPTION = "experiment.json"
"""File in each result folder that says what the numbers beside it were measured on."""

ERROR = "error.json"
"""Lies beside the runs of a method that failed when it was last asked for."""

TRAINED = ("rows", "epochs", "updates", "seconds")
"""What each result says of its training: an undertrained network must not pass for a method."""


@dataclass(frozen=True)
class Row:
    """One row of a result table.

    Attributes
    ----------
    name : str
        Such as ``A3-n100``.
    scores : (n,) float32, or None
        None if the method failed.
    training : dict
        ``rows``, ``epochs``, ``updates`` and ``seconds``; empty if the method failed.
    jointly : int
        Number of label budgets that the training, and its seconds, served.
    precision : str
        Of the products in training; empty if the method failed.
    error : str
        Why the method failed.
    gate : DataFrame, optional
        See `gate_table`.
    """

    name: str
    scores: np.ndarray | None = None
    training: dict[str, Any] = field(default_factory=dict)
    jointly: int = 1
    precision: str = ""
    error: str = ""
    gate: "pd.DataFrame | None" = None


@dataclass(frozen=True)
class StoredRun:
    """A folder with a trained detector, its manifest, and the scores it has given.

    Attributes
    ----------
    folder : Path
    manifest : dict
        See `libs.detectors.detector.Detector.save`.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def budgets(self) -> tuple[int, ...]:
        """Label budgets that it was trained for; empty for a method without labels."""
        return tuple(self.manifest["budgets"] or ())

    @property
    def names(self) -> list[str]:
        """Names of its score columns."""
        return row_names(self.folder.parent.name, self.budgets)

    @property
    def precision(self) -> str:
        """Of the products in training, its own and those of its parts: ``bfloat16+float32``."""
        return "+".join(sorted(_precisions(self.manifest["detector"]))) or "float32"

    def differences(self, conditions: Conditions) -> list[str]:
        """Conditions in which the run differs from these, in words."""
        kept, about = self.manifest["run"], conditions.describe()
        return same_settings(about, {key: kept.get(key) for key in about})

    def score_file(self, part: str) -> Path:
        """Where its scores of ``part`` lie."""
        return self.folder / f"scores-{part}.npz"

    def write_scores(self, part: str, scores: np.ndarray) -> None:
        """Keep a score matrix (n, columns)."""
        with storage.replaced_file(self.score_file(part)) as path, open(path, "wb") as file:
            np.savez(file, scores=scores)

    def scores(self, part: str) -> np.ndarray | None:
        """The kept score matrix; None where there is none that can be read."""
        try:
            return storage.read_arrays(self.score_file(part)).get("scores")
        except UserError:
            return None

    def write_gates(self, part: str, tables: Sequence["pd.DataFrame"]) -> None:
        """Keep what the gates answer for ``part``, one table for each score column."""
        values = [table.to_dict(orient="split") for table in tables]
        storage.write_json(self.folder / f"gates-{part}.json", values)

    def gates(self, part: str) -> "list[pd.DataFrame | None]":
        """The kept tables of `write_gates`; None for each score column of a run without gates."""
        try:
            values = json.loads((self.folder / f"gates-{part}.json").read_text())
        except FileNotFoundError:
            return [None] * len(self.names)
        import pandas as pd

        return [pd.DataFrame(**value).rename_axis("class") for value in values]

    def rows(self, matrix: np.ndarray, part: str) -> list[Row]:
        """Result rows of a score matrix of ``part``."""
        columns = zip(self.names, matrix.T, self.gates(part), strict=True)
        training = self.manifest["training"]
        return [
            Row(name, scores, training, len(self.names), self.precision, gate=gate)
            for name, scores, gate in columns
        ]


def gate_table(weights: np.ndarray, classes: np.ndarray, experts: Sequence[str]) -> "pd.DataFrame":
    """Mean weights that a gate gives to its experts, one row per class.

    Parameters
    ----------
    weights : (n, experts + 1) float
        See `libs.ARGUE.ARGUE.gate`.
    classes : (n,) str
    experts : sequence of str
        ``expert_names_``; the last column is "anomaly".
    """
    import pandas as pd

    table = pd.DataFrame(weights, columns=[*experts, "anomaly"])
    return table.groupby(pd.Index(classes, name="class")).mean()


def _precisions(description: Any) -> set[str]:
    """Every setting ``precision`` of a component and its parts; see `components.describe`."""
    if isinstance(description, list):
        return set().union(*map(_precisions, description))
    if not isinstance(description, dict) or "settings" not in description:
        return set()
    settings = description["settings"]
    own = {settings["precision"]} if "precision" in settings else set()
    return own.union(*map(_precisions, settings.values()))


def row_names(method: str, budgets: Sequence[int]) -> list[str]:
    """``A3-n5``, ``A3-n100``; the method's own name where there are no label budgets."""
    return [f"{method}-n{budget}" for budget in budgets] or [method]


def stored_runs(method_folder: Path, skip_damaged: bool = False) -> list[StoredRun]:
    """Finished runs of a method; other folders may lie beside them.

    Raises
    ------
    UserError
        If a run is damaged, unless these are skipped.
    """
    runs = []
    for folder in filter(storage.holds_model, sorted(method_folder.glob("[!.]*"))):
        try:
            runs.append(StoredRun(folder, storage.read_manifest(folder)))
        except UserError:
            if not skip_damaged:
                raise
    return runs


def write_failure(method_folder: Path, names: Sequence[str], error: str) -> None:
    """Leave a failed method's error, to become its result rows."""
    storage.write_json(method_folder / ERROR, {"names": list(names), "error": error})


def result_rows(
    experiment_folder: Path,
    conditions: Conditions,
    part: str,
    matrix: Callable[[StoredRun], np.ndarray | None] | None = None,
    differences: Callable[[StoredRun], list[str]] | None = None,
) -> list[Row]:
    """Rows of everything that lies in an experiment's folder.

    Parameters
    ----------
    experiment_folder : Path
    conditions : Conditions
        Runs that were made on something else are left out.
    part : {"val", "test"}
        The rows that were scored.
    matrix : callable, optional
        Gives a run's score matrix, or None to leave the run out. Default: the kept one.
    differences : callable, optional
        Says in what a run differs from what is wanted. Default: in its conditions.
    """
    matrix = matrix or (lambda run: run.scores(part))
    differences = differences or (lambda run: run.differences(conditions))
    rows: dict[str, Row] = {}
    for folder in sorted(p for p in experiment_folder.iterdir() if p.is_dir()):
        failure = _failure(folder)
        try:
            runs = stored_runs(folder)
        except UserError as error:
            runs, failure = [], failure or {"names": [folder.name], "error": str(error)}
        for run in runs:
            other = differences(run)
            if other:
                log.warning("%s is left out: %s", run.folder, "; ".join(other))
            scores = None if other else matrix(run)
            if scores is not None:
                rows |= {row.name: row for row in run.rows(scores, part)}
        if failure:
            rows |= {name: Row(name, error=failure["error"]) for name in failure["names"]}
    return list(rows.values())


def _failure(method_folder: Path) -> dict[str, Any] | None:
    """What `write_failure` left."""
    try:
        return json.loads((method_folder / ERROR).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"names": [method_folder.name], "error": f"{ERROR} is damaged"}


def same_settings(wanted: dict[str, Any], found: dict[str, Any], prefix: str = "") -> list[str]:
    """List the differences of two nested descriptions, each as ``setting: found a, wanted b``."""
    wanted, found = json.loads(json.dumps(wanted)), json.loads(json.dumps(found))
    differences = []
    for key in sorted(set(wanted) | set(found)):
        a, b = wanted.get(key), found.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            differences += same_settings(a, b, f"{prefix}{key}.")
        elif a != b:
            if key == "fingerprint":  # parts of 32 digits, of a file each
                start = 32 * (str(a)[:32] == str(b)[:32])
                a, b = (str(digits)[start : start + 8] for digits in (a, b))
            differences.append(f"{prefix}{key}: found {b}, wanted {a}")
    return differences
