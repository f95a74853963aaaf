"""k nearest neighbours (Ramaswamy, Rastogi, Shim; SIGMOD 2000): scikit-learn's search."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

from libs.datasets.splits.rows import Rows, sample_rows
from libs.detectors.attribution import SWAPS
from libs.detectors.detector import Detector
from libs.training.record import Training


@dataclass(eq=False, repr=False)
class KNN(Detector):
    """Mean Euclidean distance to the nearest normal training rows, in [0, inf).

    The mean of k distances (Angiulli and Pizzuti, 2002) rather than only the k-th. Training rows
    that exceed `libs.datasets.splits.rows.HELD_BYTES` are sampled.

    Parameters
    ----------
    n_neighbors : int
        Number of neighbours (5, as in ADBench and PyOD), fewer if there are fewer rows.

    Attributes
    ----------
    rows_ : (m, d) float32
    """

    explained_by = SWAPS

    n_neighbors: int = 5

    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        start = time.perf_counter()
        self.rows_ = sample_rows(x, 0).reshape(-1, int(np.prod(x.shape[1:])))
        self._index()
        return Training(len(self.rows_), 1, 1, time.perf_counter() - start)

    def _index(self) -> None:
        neighbours = min(self.n_neighbors, len(self.rows_))
        self._search = NearestNeighbors(n_neighbors=neighbours).fit(self.rows_)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return self._search.kneighbors(x.reshape(len(x), -1))[0].mean(axis=1)

    def _save(self, folder: Path) -> None:
        np.savez(folder / "rows.npz", rows=self.rows_)

    def _load(self, folder: Path) -> None:
        with np.load(folder / "rows.npz", allow_pickle=False) as arrays:
            self.rows_ = arrays["rows"]
        self._index()
