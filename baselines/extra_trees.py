"""Extremely randomised trees (Geurts, Ernst, Wehenkel; 2006): scikit-learn's."""

from collections.abc import Sequence

from sklearn.ensemble import ExtraTreesClassifier

from libs.detectors.classifiers import ClassifierDetector


class ExtraTrees(ClassifierDetector):
    """Known anomalies against normal rows, by trees of random cuts; see `ClassifierDetector`.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each classifier; default: one with all of them.
    n_estimators : int
        Number of trees (500).
    random_state : int
    """

    trusted = frozenset({"sklearn.tree._tree.Tree"})

    def __init__(
        self,
        budgets: Sequence[int] | None = None,
        n_estimators: int = 500,
        random_state: int = 0,
    ):
        self.budgets = budgets
        self.n_estimators = n_estimators
        self.random_state = random_state

    def _classifier(self) -> ExtraTreesClassifier:
        return ExtraTreesClassifier(self.n_estimators, random_state=self.random_state)
