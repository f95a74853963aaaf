"""Metrics and thresholds on cases that one can check by hand."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from libs import Metrics


def test_ranking():
    y = np.array([0, 0, 1, 1])
    assert Metrics.ranking(y, np.array([0.1, 0.2, 0.8, 0.9])) == {
        "AUC": 1.0,
        "AP": 1.0,
        "prevalence": 0.5,
    }
    constant = Metrics.ranking(y, np.zeros(4))
    assert constant["AUC"] == 0.5
    assert constant["AP"] == constant["prevalence"]


def test_threshold_by_hand():
    scores = np.arange(100.0)
    assert Metrics.threshold_at(scores, 0.01) == 98
    assert Metrics.threshold_at(scores, 0.1) == 89
    assert np.isnan(Metrics.threshold_at(scores, 0.001))


@given(
    arrays(np.float64, st.integers(1, 300), elements=st.floats(-5, 5)),
    st.floats(0.001, 0.99),
)
def test_threshold_keeps_its_rate(scores, rate):
    threshold = Metrics.threshold_at(scores, rate)
    if np.isnan(threshold):
        assert rate < 1 / len(scores)
    else:
        assert np.mean(scores > threshold) <= rate + 1e-9


@given(
    arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 2)), elements=st.floats(0, 1)),
    st.integers(1, 70),
    st.integers(1, 60),
)
def test_threshold_for_alerts(scores, alerts, size):
    """As many as wanted, in any portions; fewer only where equal scores would make them more."""
    portions = (scores[i : i + size] for i in range(0, len(scores), size))
    for column, threshold in zip(scores.T, Metrics.threshold_for(portions, alerts), strict=True):
        flagged = (column > threshold).sum()
        assert flagged <= alerts
        assert flagged + (column == threshold).sum() > alerts or flagged == len(column)
        assert Metrics.threshold_for([column], alerts) == threshold


def test_at_threshold():
    y, scores = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 2.0, 4.0])
    expected = {"accuracy": 0.75, "precision": 2 / 3, "recall": 1.0, "F1": 0.8, "F2": 10 / 11}
    assert Metrics.at_threshold(y, scores, 1.5) == pytest.approx(expected)
    nothing = {"accuracy": 0.5, "precision": 0.0, "recall": 0.0, "F1": 0.0, "F2": 0.0}
    assert Metrics.at_threshold(y, scores, 9) == nothing
    assert np.isnan(list(Metrics.at_threshold(y, scores, float("nan")).values())).all()


@given(
    st.integers(2, 60).flatmap(
        lambda n: st.tuples(
            arrays(np.int64, n, elements=st.integers(0, 1)),
            arrays(np.float64, n, elements=st.sampled_from([-1.0, 0.0, 0.25, 0.2501, 3.0])),
        )
    ),
    st.sampled_from(["accuracy", "F1"]),
)
def test_best_threshold_is_the_best_of_all(rows, metric):
    """As good as the best of every cut between scores, ties included."""
    y, scores = rows
    assume(0 < y.sum() < len(y))
    found = Metrics.at_threshold(y, scores, Metrics.best_threshold(y, scores, metric))[metric]
    cuts = [-np.inf, *np.unique(scores)]
    assert found == pytest.approx(max(Metrics.at_threshold(y, scores, t)[metric] for t in cuts))


def test_best_threshold_is_not_rounded():
    y, scores = np.array([0, 0, 1, 1]), np.array([0.0531, 0.0532, 0.0533, 0.0534])
    assert Metrics.best_threshold(y, scores, "accuracy") == 0.0532
    assert Metrics.best_threshold(y, scores, "F1") == 0.0532


def test_roc():
    fpr, tpr = Metrics.roc_points(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(tpr, fpr) == pytest.approx(1)
