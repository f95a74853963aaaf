"""The part of the contract that makes decisions of scores, in scikit-learn's and PyOD's words."""

from typing import Any, Self

import numpy as np
from scipy.stats import binom

from libs import Metrics
from libs.datasets.splits.rows import Rows
from libs.detectors.checks import NotFittedError, checked_fraction
from libs.detectors.training_rows import TrainingRows
from libs.utils.errors import UserError


class Decisions:
    """The half of `libs.detectors.detector.Detector` that decides which rows are anomalies.

    Until `calibrate` was called, the threshold is that of ``contamination``, an argument of `fit`:
    this fraction of the training rows is above it. They are scored when that is first needed.

    Attributes
    ----------
    calibration_scores_ : (m, budgets) float32
        Ascending; of the rows that `calibrate` saw, as ``rate_``.
    rate_ : float
    """

    training_rows_: TrainingRows

    @property
    def n_features_in_(self) -> int:
        """Features of a training row; of an image its values."""
        return int(np.prod(self.input_shape_))

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, (features,) str, if the training rows came as a DataFrame."""
        self._check_fitted()
        if self.training_rows_.names is None:
            raise AttributeError("the training rows had no names: they were no DataFrame")
        return np.array(self.training_rows_.names, dtype=object)

    @property
    def decision_scores_(self) -> np.ndarray:
        """Scores of the training rows, float32 (n,).

        Of more than `libs.detectors.training_rows.SCORED`, as many random ones in their order.
        """
        self._check_fitted()
        self._score_training_rows()
        if self.training_rows_.scores is None:
            raise NotFittedError(
                f"this {type(self).__name__} has no threshold yet, and was saved without the "
                "scores of its training rows: call calibrate(x) with normal validation rows"
            )
        return self.training_rows_.scores[:, -1]

    @property
    def labels_(self) -> np.ndarray:
        """1 where ``decision_scores_`` is above the threshold, else 0, int (n,)."""
        return (self.decision_scores_ > self.threshold_).astype(int)

    @property
    def threshold_(self) -> float:
        """Score above which `predict` says 1.

        Raises
        ------
        UserError
            If there are too few rows for the rate.
        """
        scores, rate = self._calibration()
        threshold = Metrics.threshold_at(scores, rate)
        if np.isnan(threshold):
            raise UserError(
                f"a rate of {rate:g} needs at least {int(np.ceil(1 / rate))} rows in "
                f"calibrate() or fit(), found {len(scores)}; give more rows or a higher rate"
            )
        return threshold

    def calibrate(self, x: Any, rate: float = 0.01) -> Self:
        """Choose ``threshold_`` from rows that no test depends on.

        Parameters
        ----------
        x : (m, ...) float
            Normal validation rows, or unlabelled rows.
        rate : float
            Accepted false-positive rate on normal rows; on unlabelled ones, the contamination.
        """
        rate = checked_fraction("rate", rate)
        self.calibration_scores_ = np.sort(self.decision_matrix(x), axis=0)
        self.rate_ = rate
        return self

    def predict(self, x: Any) -> np.ndarray:
        """1 for an anomaly, 0 otherwise, int (n,): ``decision_function(x) > threshold_``."""
        return (self.decision_function(x) > self.threshold_).astype(int)

    def fit_predict(self, x: np.ndarray | Rows, y: np.ndarray | None = None, **more: Any) -> Any:
        """`fit`, and `predict` for the same rows."""
        return self.fit(x, y, **more).predict(x)

    def score_samples(self, x: Any) -> np.ndarray:
        """``-decision_function(x)``: scikit-learn's sign, lower is more anomalous."""
        return -self.decision_function(x)

    def predict_proba(self, x: Any) -> np.ndarray:
        """Empirical distribution of the calibration scores, float (n, 2).

        Column 1 is the fraction of calibration rows that score at most as high as the row.
        """
        scores = self._calibration()[0]
        share = np.searchsorted(scores, self.decision_function(x), side="right") / len(scores)
        return np.stack([1 - share, share], axis=1)

    def predict_confidence(self, x: Any) -> np.ndarray:
        """Probability that `predict` would say the same after calibration on other rows, (n,).

        Perini, Vercruyssen and Davis; ECML PKDD 2020.
        """
        calibration, rate = self._calibration()
        n, scores = len(calibration), self.decision_function(x)
        posterior = (1 + np.searchsorted(calibration, scores, side="right")) / (2 + n)
        flagged = 1 - binom.cdf(n - int(n * rate), n, posterior)
        return np.where(scores > self.threshold_, flagged, 1 - flagged)

    def _calibration(self) -> tuple[np.ndarray, float]:
        """Sorted scores of the column that `decision_function` gives, and the rate."""
        if hasattr(self, "calibration_scores_"):
            return self.calibration_scores_[:, -1], self.rate_
        return np.sort(self.decision_scores_), self.training_rows_.contamination

    def _score_training_rows(self) -> None:
        """Put scores in the place of the rows that are still to be scored."""
        kept = self.training_rows_
        if kept.sample is not None:
            kept.scores, kept.sample = self.decision_matrix(kept.sample), None

    def _check_fitted(self) -> None:
        if not hasattr(self, "training_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted: call fit(x, y) or load()"
            )
