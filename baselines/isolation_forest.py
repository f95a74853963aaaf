"""Isolation Forest (Liu, Ting, Zhou; ICDM 2008): scikit-learn's, with its defaults."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import ensemble

from libs.datasets.splits.rows import sample_rows
from libs.detectors import estimators
from libs.detectors.detector import Detector
from libs.training.record import Training


@dataclass(eq=False, repr=False)
class IsolationForest(Detector):
    """scikit-learn's forest on flattened normal rows; score: -decision_function, about [-.5, .5].

    Each tree is grown on 256 rows, drawn from all rows or, if these take more memory than
    `libs.datasets.splits.rows.HELD_BYTES`, from a random sample of that size.

    Parameters
    ----------
    n_estimators : int
        Number of trees (scikit-learn: 100).
    random_state : int
    """

    n_estimators: int = 100
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        start = time.perf_counter()
        x = sample_rows(x, self.random_state)
        self.forest_ = ensemble.IsolationForest(
            n_estimators=self.n_estimators, random_state=self.random_state
        ).fit(x.reshape(len(x), -1))
        return Training(len(x), 1, self.n_estimators, time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return -self.forest_.decision_function(x.reshape(len(x), -1))

    def _save(self, folder: Path) -> None:
        estimators.save(self.forest_, folder / "forest.skops")

    def _load(self, folder: Path) -> None:
        self.forest_ = estimators.load(folder / "forest.skops", estimators.TREES)
