"""Classifiers of scikit-learn's as detectors: known anomalies against normal rows."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin

from libs.datasets.splits.rows import Rows, sample_rows
from libs.detectors import estimators
from libs.detectors.attribution import SWAPS
from libs.detectors.detector import Detector
from libs.training.record import Training


class ClassifierDetector(Detector):
    """Base of rivals that tell known anomalies from normal rows, one classifier per label budget.

    Score: the probability of an anomaly, in [0, 1]. A subclass gives `_classifier`. Rows are
    flattened; where they take more than `libs.datasets.splits.rows.HELD_BYTES`, random normal ones
    that fill it are used.

    Attributes
    ----------
    classifiers_ : list of estimators, in the order of ``budgets_``
    """

    uses_labels = True
    fewest_known = 1
    explained_by = SWAPS
    trusted: ClassVar[frozenset[str]] = frozenset()
    """What a classifier is made of beyond the types that skops trusts by itself."""

    budgets: Sequence[int] | None
    random_state: int = 0

    def _classifier(self) -> ClassifierMixin:
        """A fresh classifier."""
        raise NotImplementedError

    def _fit(self, x: np.ndarray | Rows, y: np.ndarray) -> Training:
        start = time.perf_counter()
        self.budgets_ = self._checked_budgets(int(y.sum()))
        normal = sample_rows(x[y == 0], self.random_state)
        known = np.asarray(x[y == 1])
        self.classifiers_ = []
        for budget in self.budgets_:
            rows = np.concatenate([normal, known[:budget]])
            labels = np.repeat([0, 1], [len(normal), budget])
            classifier = self._classifier()
            self.classifiers_.append(classifier.fit(rows.reshape(len(rows), -1), labels))
        return Training(len(rows), 1, len(self.budgets_), time.perf_counter() - start)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        x = x.reshape(len(x), -1)
        return np.stack([c.predict_proba(x)[:, 1] for c in self.classifiers_], axis=1)

    def _save(self, folder: Path) -> None:
        for budget, classifier in zip(self.budgets_, self.classifiers_, strict=True):
            estimators.save(classifier, folder / f"classifier-n{budget}.skops")

    def _load(self, folder: Path) -> None:
        paths = [folder / f"classifier-n{budget}.skops" for budget in self.budgets_]
        self.classifiers_ = [estimators.load(path, self.trusted) for path in paths]
