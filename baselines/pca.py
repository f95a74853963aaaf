"""Principal component analysis (Pearson, 1901): scikit-learn's, scored by reconstruction."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import decomposition

from libs.datasets.splits.rows import sample_rows
from libs.detectors import estimators
from libs.detectors.attribution import ERRORS
from libs.detectors.detector import Detector
from libs.training.record import Training
from libs.utils.errors import UserError, lookup


@dataclass(eq=False, repr=False)
class PCA(Detector):
    """scikit-learn's PCA on flattened normal rows.

    Many rows are sampled; see `libs.datasets.splits.rows.sample_rows`.

    Parameters
    ----------
    components : int
        Number of components kept (deepad: 2).
    score : {"reconstruction", "directions"}
        ``reconstruction``: mean squared error of the row's projection, in [0, inf).
        ``directions``: deepad's, the sum of the distances between a row and the unit vectors of the
        components as if they were points. It is no distance to the subspace and depends on the
        arbitrary signs of these vectors; it exists for deepad's published figures only.
    flipped : sequence of int
        Components, from 0, whose sign is flipped for ``directions``.
    """

    components: int = 2
    score: str = "reconstruction"
    flipped: tuple[int, ...] = ()

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        lookup(SCORES, "score", self.score)
        x = sample_rows(x, 0)
        x = x.reshape(len(x), -1)
        if not 0 < self.components <= min(x.shape):
            raise UserError(
                f"components {self.components}: expected 1 to {min(x.shape)}, for {len(x)} rows of "
                f"{x.shape[1]} features"
            )
        start = time.perf_counter()
        self.pca_ = decomposition.PCA(self.components, svd_solver="full").fit(x)
        return Training(len(x), 1, 1, time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return SCORES[self.score](self, x.reshape(len(x), -1))

    @property
    def explained_by(self) -> str | None:
        """How to explain the score, if it is the reconstruction error."""
        return ERRORS if self.score == "reconstruction" else None

    def _errors(self, x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), -1)
        restored = self.pca_.inverse_transform(self.pca_.transform(flat))
        return np.square(flat - restored).reshape(x.shape)

    def _reconstruction(self, x: np.ndarray) -> np.ndarray:
        return self._errors(x).mean(axis=1)

    def _directions(self, x: np.ndarray) -> np.ndarray:
        vectors = self.pca_.components_.copy()
        vectors[list(self.flipped)] *= -1
        return sum(np.linalg.norm(x - vector, axis=1) for vector in vectors)

    def _save(self, folder: Path) -> None:
        estimators.save(self.pca_, folder / "pca.skops")

    def _load(self, folder: Path) -> None:
        self.pca_ = estimators.load(folder / "pca.skops")


SCORES = {"reconstruction": PCA._reconstruction, "directions": PCA._directions}
