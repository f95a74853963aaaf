"""Gradient boosting on histograms (Ke et al., 2017): scikit-learn's, with its defaults."""

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.ensemble import HistGradientBoostingClassifier

from libs.detectors.classifiers import ClassifierDetector


@dataclass(eq=False, repr=False)
class HistGradientBoosting(ClassifierDetector):
    """Known anomalies against normal rows, by boosted trees; see `ClassifierDetector`.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each classifier; default: one with all of them.
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

    budgets: Sequence[int] | None = None

    def _classifier(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(random_state=0)
