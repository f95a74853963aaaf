"""One-class support vector machine (Schölkopf et al., 2001): scikit-learn's."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import svm

from libs.datasets.splits.rows import sample_rows
from libs.detectors import estimators
from libs.detectors.detector import Detector
from libs.training.record import Training
from libs.utils.seeds import numpy_seeded


@dataclass(eq=False, repr=False)
class OneClassSVM(Detector):
    """scikit-learn's one-class SVM on flattened normal rows, Gaussian kernel.

    Score: -decision_function, which is 0 on the learned boundary. Training time grows with ν, as
    about ν·n rows become support vectors. Many rows are sampled; see
    `libs.datasets.splits.rows.sample_rows`.

    Parameters
    ----------
    nu : float
        ν, in (0, 1]: upper bound on the fraction of training rows outside (deepad: 1e-4).
    gamma : float or {"scale", "auto"}
        Of the kernel exp(-γ ‖x - x'‖²) (deepad: .5).
    """

    nu: float = 1e-4
    gamma: float | str = 0.5

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        start = time.perf_counter()
        x = sample_rows(x, 0)
        with numpy_seeded(0):  # scikit-learn draws from numpy's global generator
            self.svm_ = svm.OneClassSVM(nu=self.nu, gamma=self.gamma).fit(x.reshape(len(x), -1))
        return Training(len(x), 1, int(self.svm_.n_iter_), time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        return -self.svm_.decision_function(x.reshape(len(x), -1))

    def _save(self, folder: Path) -> None:
        estimators.save(self.svm_, folder / "svm.skops")

    def _load(self, folder: Path) -> None:
        self.svm_ = estimators.load(folder / "svm.skops")
