"""Metrics and curves of scores. Higher scores are more anomalous; y is 1 for an anomaly.

scikit-learn takes a second to import, so it is imported only where needed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

FALSE_POSITIVE_RATES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Validation false-positive rates at which A3's evaluation reports F1, precision and recall."""

THRESHOLDED = ("accuracy", "precision", "recall", "F1", "F2")


def area_under_roc(y: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, scores))


def average_precision(y: np.ndarray, scores: np.ndarray) -> float:
    """Average precision; a constant score reaches the fraction of anomalies."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(y, scores))


@dataclass(frozen=True)
class Column:
    """A metric that needs no threshold: a column of all result files, tables and comparisons.

    Attributes
    ----------
    function : callable
        Of y (n,), in which 0 and 1 are present, and finite scores (n,).
    best : {"max", "min"}
        Whether high or low values are good.
    """

    function: Callable[[np.ndarray, np.ndarray], float]
    best: str = "max"


COLUMNS = {"AUC": Column(area_under_roc), "AP": Column(average_precision)}
"""Metrics by name. To add a column to the result tables, add an entry."""


def ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Every metric of `COLUMNS`, and ``prevalence``, the fraction of anomalies."""
    values = {name: column.function(y, scores) for name, column in COLUMNS.items()}
    return values | {"prevalence": float(np.mean(y))}


def roc_points(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False- and true-positive rates of the ROC curve, without points on straight lines."""
    from sklearn.metrics import roc_curve

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
        NaN if ``rate`` is below 1/m, too small to estimate from m rows.
    """
    m = len(normal_scores)
    allowed = int(np.floor(rate * m + 1e-9))
    if allowed < 1:
        return float("nan")
    return float(np.sort(normal_scores)[m - 1 - allowed]) if allowed < m else float("-inf")


def threshold_for(scores: Iterable[np.ndarray], alerts: int) -> np.ndarray:
    """Lowest threshold that at most ``alerts`` scores are above; -inf if there are no more.

    Parameters
    ----------
    scores : iterable of (m, ...) float
        In any portions, at least one of them.
    alerts : int

    Returns
    -------
    (...) float
        Of each column of scores.
    """
    highest = None
    for part in scores:
        both = part if highest is None else np.concatenate([highest, part])
        highest = np.sort(both, axis=0)[-alerts - 1 :]
    return highest[0] if len(highest) > alerts else np.full_like(highest[0], -np.inf)


def best_threshold(y: np.ndarray, scores: np.ndarray, metric: str) -> float:
    """Threshold with the highest accuracy, F1 or F2 on labelled validation rows.

    Parameters
    ----------
    y : (m,) int, 0 or 1, both present
    scores : (m,) float
        Of validation rows, never of test rows.
    metric : {"accuracy", "F1", "F2"}

    Returns
    -------
    float
        One of the scores, unrounded, or -inf; the highest of equally good ones.
    """
    order = np.argsort(-scores, kind="stable")
    scores, y = scores[order], y[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)  # of runs of equal scores
    flagged = np.concatenate([[0], ends + 1])  # rows above each candidate
    hits = np.concatenate([[0], np.cumsum(y)[ends]])
    values = {
        "accuracy": len(y) - flagged - y.sum() + 2 * hits,  # right answers
        "F1": 2 * hits / (flagged + y.sum()),
        "F2": 5 * hits / (flagged + 4 * y.sum()),
    }
    candidates = np.append(scores[np.concatenate([[0], ends[:-1] + 1])], -np.inf)
    return float(candidates[np.argmax(values[metric])])


def at_threshold(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Accuracy, precision, recall, F1 and F2 of ``scores > threshold``; NaN where that is NaN."""
    if np.isnan(threshold):
        return dict.fromkeys(THRESHOLDED, np.nan)
    flagged = scores > threshold
    hits, anomalies = int(np.sum(flagged & (y == 1))), int(np.sum(y == 1))

    def f(beta: float) -> float:
        # F_beta, weighing recall beta times as much as precision, in counts
        return (1 + beta**2) * hits / max(1, beta**2 * anomalies + flagged.sum())

    values = np.mean(flagged == y), hits / max(1, flagged.sum()), hits / anomalies, f(1), f(2)
    return dict(zip(THRESHOLDED, map(float, values), strict=True))
