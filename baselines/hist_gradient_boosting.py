"""Gradient boosting on histograms (Ke et al., 2017): scikit-learn's, with its defaults."""

from collections.abc import Sequence

from sklearn.ensemble import HistGradientBoostingClassifier

from libs.detectors.classifiers import ClassifierDetector


class HistGradientBoosting(ClassifierDetector):
    """Known anomalies against normal rows, by boosted trees; see `ClassifierDetector`.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each classifier; default: one with all of them.
    random_state : int
    """

    trusted = frozenset(
        {
            "sklearn._loss.link.Interval",
            "sklearn._loss.link.LogitLink",
            "sklearn._loss.loss.HalfBinomialLoss",
            "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
            "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        }
    )

    def __init__(self, budgets: Sequence[int] | None = None, random_state: int = 0):
        self.budgets = budgets
        self.random_state = random_state

    def _classifier(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(random_state=self.random_state)
