"""Distance to the mean of the training rows, which every other method should beat."""

import time
from pathlib import Path

import numpy as np

from libs.datasets.splits.rows import Rows, feature_means
from libs.detectors.attribution import ERRORS
from libs.detectors.detector import Detector
from libs.training.record import Training


class MeanDistance(Detector):
    """Mean squared difference from the mean of the normal rows, in [0, inf).

    Attributes
    ----------
    mean_ : (features,) float32
    """

    explained_by = ERRORS

    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        start = time.perf_counter()
        self.mean_ = feature_means(x).reshape(-1)
        return Training(len(x), 1, 1, time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return self._errors(x).reshape(len(x), -1).mean(axis=1)

    def _errors(self, x: np.ndarray) -> np.ndarray:
        return np.square(x - self.mean_.reshape(x.shape[1:]))

    def _save(self, folder: Path) -> None:
        np.savez(folder / "mean.npz", mean=self.mean_)

    def _load(self, folder: Path) -> None:
        with np.load(folder / "mean.npz", allow_pickle=False) as arrays:
            self.mean_ = arrays["mean"]
