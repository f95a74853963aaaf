"""Metrics and thresholds on cases that one can check by hand."""

import numpy as np
import pytest
from hypothesis import given
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


def test_at_threshold():
    y, scores = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 2.0, 4.0])
    values = Metrics.at_threshold(y, scores, 1.5)
    assert values == pytest.approx({"precision": 2 / 3, "recall": 1.0, "F1": 0.8})
    assert Metrics.at_threshold(y, scores, 9) == {"precision": 0.0, "recall": 0.0, "F1": 0.0}
    assert np.isnan(list(Metrics.at_threshold(y, scores, float("nan")).values())).all()


def test_roc():
    fpr, tpr = Metrics.roc_points(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(tpr, fpr) == pytest.approx(1)
