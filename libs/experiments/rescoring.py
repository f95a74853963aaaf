"""Scoring saved runs again, without training."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from libs import Metrics
from libs.DataHandler import DataHandler, SplitRules, Splits
from libs.datasets import registry as datasets
from libs.datasets.dataset import DataSet
from libs.datasets.splits.experiment import view_labels
from libs.detectors.detector import Detector
from libs.experiments.averages import show_experiment
from libs.experiments.result_files import write_results
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import TRAINED, StoredRun, result_rows, stored_runs
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")


def saved_experiments(models: Path, seed: int, method: str = "*") -> list[Path]:
    """Folders ``<models>/<data set>/<protocol>/<seed>/<experiment>`` that hold runs of a method.

    Raises
    ------
    UserError
        If there is none.
    """
    folders = sorted({p.parent for p in Path(models).glob(f"*/*/{seed}/*/{method}") if p.is_dir()})
    if not folders:
        raise UserError(
            f"no saved models of seed {seed}: expected {models}/<data set>/<protocol>/{seed}/"
            f"<experiment>/{method}. "
            f"Train some, e.g. python do_digits.py {seed} test, or name the folder with --in_path"
        )
    return folders


class Rescorer:
    """Scores the runs of experiment folders again and writes their results.

    Parameters
    ----------
    data_path : path, optional
        Folder of the raw files.
    split : {"val", "test"}
    results : Path
        Root of the result folders.
    method : str
        Only its runs are scored; the others keep their scores. ``*``: all.
    """

    def __init__(self, data_path: Path | None, split: str, results: Path, method: str = "*"):
        self.method = method
        self.data_path = data_path
        self.split = split
        self.results = Path(results)
        self._data: dict[str, DataSet] = {}

    def rescore(self, folder: Path) -> pd.DataFrame:
        """Score one experiment's runs; write metrics, ROC files and pictures again.

        Parameters
        ----------
        folder : Path
            See `saved_experiments`.

        Returns
        -------
        DataFrame
            A row per view and run: AUC, AP, prevalence; F1, precision and recall at thresholds from
            normal validation rows; ``largest_difference`` from the scores stored with the run.
        """
        runs = list(_runs(folder))
        if not runs:
            log.warning("%s holds no finished run", folder)
            return pd.DataFrame(columns=COLUMNS)
        newest = max(runs, key=lambda run: (run.folder / storage.MANIFEST).stat().st_mtime_ns)
        conditions = Conditions.of(newest.manifest["run"])  # those of other ones are left out
        splits = self._split(conditions)
        detectors: dict[str, tuple[Detector, int, float]] = {}

        def matrix(run: StoredRun) -> np.ndarray | None:
            if self.method not in ("*", run.folder.parent.name):
                return run.scores(self.split)
            detector = Detector.load(run.folder)
            scores = detector.decision_matrix(splits.rows(self.split)[0])
            kept = run.scores(self.split)
            gap = np.nan if kept is None else float(np.abs(kept - scores).max())
            detectors.update({n: (detector, i, gap) for i, n in enumerate(run.names)})
            return scores

        target = self.results.joinpath(*folder.parts[-4:], self.split)
        with storage.locked(target):
            rows = result_rows(folder, conditions, self.split, matrix)
            tables = write_results(target, splits, self.split, rows, conditions)
        show_experiment(tables, conditions, target)
        scores = {row.name: row.scores for row in rows if row.scores is not None}
        lines = [
            self._line(splits, view, name, scores[name], *detectors[name]) | dict(values[MEASURED])
            for view, table in tables.items()
            for name, values in table.iterrows()
            if name in scores and name in detectors
        ]
        place = dict(zip(PLACE, folder.parts[-4:], strict=True))
        return pd.DataFrame(lines, columns=COLUMNS[4:]).assign(**place)[COLUMNS]

    def _split(self, conditions: Conditions) -> Splits:
        """The splits that the runs were trained on, recreated from their manifest."""
        data = conditions.data
        key = datasets.identity(data)
        if key not in self._data:
            self._data[key] = datasets.reload(data, self.data_path)
        return split_again(conditions, self._data[key])

    def _line(
        self,
        splits: Splits,
        view: str,
        name: str,
        scores: np.ndarray,
        detector: Detector,
        column: int,
        gap: float,
    ) -> dict:
        """Threshold metrics of one run on one view."""
        mask, y = view_labels(splits.experiment, view, splits.rows(self.split)[1])
        line = {"view": view, "run": name, "largest_difference": gap, "note": ""}
        normal = detector.calibration_scores_[:, column]
        for rate in Metrics.FALSE_POSITIVE_RATES:
            threshold = Metrics.threshold_at(normal, rate)
            values = Metrics.at_threshold(y, scores[mask], threshold)
            line |= {f"{metric}@{rate:g}": value for metric, value in values.items()}
        empty = [f"{r:g}" for r in Metrics.FALSE_POSITIVE_RATES if r * len(normal) < 1]
        if empty:
            line["note"] = (
                f"{len(normal)} normal validation rows are too few for {', '.join(empty)}"
            )
        return line


def split_again(conditions: Conditions, data: DataSet) -> Splits:
    """Recreate the splits of a run, without known anomalies, from its manifest."""
    rules, seed = SplitRules(**conditions.data["rules"]), conditions.data["seed"]
    handler = DataHandler(data, rules, seed)
    return handler.split(conditions.experiment, p_contamination=conditions.p_contamination)


PLACE = ("data_set", "protocol", "seed", "experiment")
MEASURED = [*Metrics.COLUMNS, "prevalence", *TRAINED, "jointly", "precision"]
THRESHOLDED = [
    *(f"{m}@{r:g}" for r in Metrics.FALSE_POSITIVE_RATES for m in ("F1", "precision", "recall")),
    "largest_difference",
    "note",
]
COLUMNS = [*PLACE, "view", "run", *MEASURED, *THRESHOLDED]


def _runs(folder: Path) -> Iterator[StoredRun]:
    for method in sorted(p for p in folder.iterdir() if p.is_dir()):
        yield from stored_runs(method)
