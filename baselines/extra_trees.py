"""Extremely randomised trees (Geurts, Ernst, Wehenkel; 2006): scikit-learn's."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.ensemble import ExtraTreesClassifier

from libs.detectors import estimators
from libs.detectors.classifiers import ClassifierDetector


@dataclass(eq=False, repr=False)
class ExtraTrees(ClassifierDetector):
    """Known anomalies against normal rows, by trees with random splits; see `ClassifierDetector`.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each classifier; default: one with all of them.
    n_estimators : int
        Number of trees (500).
    random_state : int
    """

    trusted = estimators.TREES

    budgets: Sequence[int] | None = None
    n_estimators: int = 500
    random_state: int = 0

    def _classifier(self) -> ExtraTreesClassifier:
        return ExtraTreesClassifier(self.n_estimators, random_state=self.random_state)
