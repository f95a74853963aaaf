"""Scores to numbers and curves. Higher scores are more anomalous; y is 1 for an anomaly."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

FALSE_POSITIVE_RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Validation false-positive rates at which A3's evaluation reports F1, precision and recall."""


def ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Metrics that need no threshold.

    Parameters
    ----------
    y : (n,) int, 0 or 1, both present
    scores : (n,) float, finite

    Returns
    -------
    dict
        ``AUC`` (area under the ROC curve), ``AP`` (average precision) and ``prevalence`` (the share
        of anomalies, which a constant score reaches as AP).
    """
    return {
        "AUC": float(roc_auc_score(y, scores)),
        "AP": float(average_precision_score(y, scores)),
        "prevalence": float(np.mean(y)),
    }


def roc_points(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False- and true-positive rates of the ROC curve, without points on straight lines."""
    fpr, tpr, _ = roc_curve(y, scores)
    return fpr, tpr


def threshold_at(normal_scores: np.ndarray, rate: float) -> float:
    """Lowest threshold whose false-positive rate on normal validation rows is at most ``rate``.

    Parameters
    ----------
    normal_scores : (m,) float
        Scores of normal validation rows, never of test rows.
    rate : float
        In (0, 1). A row is flagged if its score is above the threshold.

    Returns
    -------
    float
        NaN if ``rate`` is below 1/m: so few rows say nothing about so small a rate.
    """
    m = len(normal_scores)
    allowed = int(np.floor(rate * m + 1e-9))
    if allowed < 1:
        return float("nan")
    return float(np.sort(normal_scores)[m - 1 - allowed]) if allowed < m else float("-inf")


def at_threshold(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Precision, recall and F1 of ``scores > threshold``; NaN where the threshold is NaN."""
    if np.isnan(threshold):
        return {"precision": np.nan, "recall": np.nan, "F1": np.nan}
    flagged = scores > threshold
    hits = float(np.sum(flagged & (y == 1)))
    precision = hits / flagged.sum() if flagged.any() else 0.0
    recall = hits / np.sum(y == 1)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": float(precision), "recall": float(recall), "F1": float(f1)}
