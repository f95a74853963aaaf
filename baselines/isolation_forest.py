"""Isolation Forest (Liu, Ting, Zhou; ICDM 2008): scikit-learn's, with its defaults."""

import time
from pathlib import Path

import numpy as np
from sklearn import ensemble

from libs.datasets.splits.rows import sampled
from libs.detectors import estimators
from libs.detectors.detector import Detector
from libs.training.loop import Training

TRUSTED = {"sklearn.tree._tree.Tree"}
"""What a forest is made of beyond the types that skops trusts by itself: plain arrays of nodes."""


class IsolationForest(Detector):
    """scikit-learn's forest on flattened normal rows; score: -decision_function, about [-.5, .5].

    Each tree is grown on 256 rows. They are drawn from all rows or, where these take more than
    `libs.datasets.splits.rows.HELD_BYTES`, from as many random ones as that holds.

    Parameters
    ----------
    n_estimators : int
        Number of trees (scikit-learn: 100).
    random_state : int
    """

    def __init__(self, n_estimators: int = 100, random_state: int = 0):
        self.n_estimators = n_estimators
        self.random_state = random_state

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        start = time.perf_counter()
        x = sampled(x, self.random_state)
        self.forest_ = ensemble.IsolationForest(
            n_estimators=self.n_estimators, random_state=self.random_state
        ).fit(x.reshape(len(x), -1))
        return Training(len(x), 1, self.n_estimators, time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return -self.forest_.decision_function(x.reshape(len(x), -1))

    def _save(self, folder: Path) -> None:
        estimators.save(self.forest_, folder / "forest.skops")

    def _load(self, folder: Path) -> None:
        self.forest_ = estimators.load(folder / "forest.skops", TRUSTED)
