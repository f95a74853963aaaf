"""Detectors among users of scikit-learn and of PyOD: their words, their checks, their habits."""

import json
import logging
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import make, toy
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from baselines import Autoencoder, IsolationForest
from libs.detectors import training_rows
from libs.detectors.components import component
from libs.detectors.detector import Detector
from libs.utils.errors import UserError

CHECKED = ("IsolationForest", "KNN", "Ensemble", "ExtraTrees", "Autoencoder")
EXPECTED = {
    "check_dtype_object": "a dict among the numbers is a ValueError, as every row that is wrong",
}
"""Checks of scikit-learn's that no detector passes, each with the reason."""
_LAST_BIT = "a network's float32 products depend in their last bit on how many rows there are"
EXPECTED_OF = {
    "ExtraTrees": {"check_fit2d_1sample": "one row is no known anomaly, which the error says"},
    "Autoencoder": {
        "check_methods_subset_invariance": _LAST_BIT,
        "check_dict_unchanged": "the graph of the scores is made, and kept, when first needed",
    },
}
"""Those that single detectors do not pass."""


class Relabelled:
    """Makes 0 and 1 of the labels of scikit-learn's checks, which have others, even for methods
    without classes; that a detector refuses them is a promise of its own."""

    def fit(self, x, y=None, **more):
        return super().fit(x, None if y is None else np.asarray(y) != np.min(y), **more)


for _name in CHECKED:
    _class = type(_name, (Relabelled, component(_name)), {"__module__": __name__})
    globals()[f"Relabelled{_name}"] = _class
    _class.__qualname__ = _class.__name__ = f"Relabelled{_name}"


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.slow
def test_the_checks_of_scikit_learn(name):
    settings = make(name, epochs=0).get_params(deep=False)  # what it learns is no matter here
    few = {"noise_trees": 10, "known_trees": (10, 10), "n_estimators": 10, "dims": (2,)}
    settings |= {key: few[key] for key in set(few) & set(settings)}
    expected = EXPECTED | EXPECTED_OF.get(name, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(
            globals()[f"Relabelled{name}"](**settings),
            expected_failed_checks=expected,
            on_fail=None,
            on_skip=None,
        )
    failed = {f["check_name"]: f["exception"] for f in found if f["status"] == "failed"}
    assert not failed
    assert {f["check_name"] for f in found if f["status"] == "xfail"} == set(expected)


def test_the_words_of_pyod():
    """After fit, and after calibrate, which chooses another threshold."""
    x, y = toy(1, 400, 60)
    detector = IsolationForest().fit(x, contamination=0.05)
    assert detector.n_features_in_ == 20
    np.testing.assert_array_equal(detector.decision_scores_, detector.decision_function(x))
    assert detector.labels_.sum() == 23
    np.testing.assert_array_equal(detector.labels_, detector.predict(x))
    np.testing.assert_array_equal(detector.fit_predict(x, contamination=0.05), detector.labels_)
    np.testing.assert_array_equal(detector.score_samples(x), -detector.decision_function(x))
    lower = detector.threshold_
    detector.calibrate(x[y == 0], rate=0.01)
    assert detector.threshold_ != lower
    np.testing.assert_array_equal(detector.labels_, detector.predict(x))
    with pytest.raises(UserError, match="contamination 1: expected a fraction"):
        detector.fit(x, contamination=1)


def test_confidence_is_that_of_pyod():
    """PyOD's own example, with its class and with ours in its place."""
    iforest = pytest.importorskip("pyod.models.iforest")
    x, _ = toy(1, 400, 60)
    theirs, ours = iforest.IForest(contamination=0.1, random_state=0), IsolationForest()
    found = []
    for detector in (theirs, ours):
        detector.fit(x)
        assert len(detector.labels_) == len(detector.decision_scores_) == len(x)
        assert detector.labels_.sum() == 46
        found.append((detector.predict(x), detector.predict_confidence(x)))
        proba = detector.predict_proba(x)
        assert proba.shape == (len(x), 2)
        assert (np.diff(proba[np.argsort(detector.decision_scores_), 1]) >= -1e-9).all()
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-6)


def test_before_fit_there_is_nothing(train_rows):
    detector = IsolationForest()
    for name in ("threshold_", "labels_", "decision_scores_", "n_features_in_"):
        assert not hasattr(detector, name)
    with pytest.raises(NotFittedError):
        detector.predict(train_rows[0])


def test_a_pipeline_predicts(train_rows):
    x = 1000 * train_rows[0]
    pipeline = make_pipeline(MinMaxScaler(), IsolationForest())
    pipeline.fit(x, isolationforest__contamination=0.2)
    assert pipeline.predict(x).sum() == 92
    assert clone(pipeline).fit(x).predict(x).sum() == 46


@pytest.mark.slow
def test_many_training_rows_are_sampled(train_rows, monkeypatch):
    monkeypatch.setattr(training_rows, "SCORED", 100)
    x = train_rows[0]
    detector = IsolationForest().fit(x)
    places = [np.flatnonzero(detector.decision_function(x) == s) for s in detector.decision_scores_]
    assert len(places) == 100
    assert (np.diff([place[0] for place in places]) > 0).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.slow
def test_columns_are_put_in_order(frame, train_rows, tmp_path):
    names = [f"column {i}" for i in range(20)]
    x = frame(dict(zip(names, train_rows[0].T, strict=True)))
    fitted = IsolationForest().fit(x)
    fitted.save(tmp_path / "model")
    for detector in (fitted, IsolationForest.load(tmp_path / "model")):
        assert list(detector.feature_names_in_) == names
        expected = detector.decision_function(train_rows[0])
        np.testing.assert_array_equal(detector.decision_function(x), expected)
        np.testing.assert_array_equal(detector.decision_function(x[names[::-1]]), expected)
        others = ["other" if name == names[3] else name for name in names]
        renamed = frame(dict(zip(others, train_rows[0].T, strict=True)))
        with pytest.raises(UserError, match=r"missing: \['column 3'\]; unknown: \['other'\]"):
            detector.predict(renamed)
        with pytest.raises(UserError, match=r"missing: \['column 0'\]; unknown: \[\]"):
            detector.predict(x[names[1:]])
    assert not hasattr(IsolationForest().fit(train_rows[0]), "feature_names_in_")
    twice = pd.DataFrame(np.ones((12, 2)), columns=["a", "a"])
    with pytest.raises(UserError, match="two of one name"):
        fitted.fit(twice)


def test_values_far_outside_warn_once(train_rows):
    x = train_rows[0].copy()
    detector = IsolationForest().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.predict(x + 1)
    x[7, 3] = 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.predict(x)  # a single anomaly
    with pytest.warns(UserWarning, match=r"1 of 9 rows .*1e\+06 in row 7, column \[3\]"):
        detector.predict(x[:9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.predict(x)


def test_what_is_saved(train_rows, tmp_path):
    """The threshold of the training rows too; models of earlier versions have none."""
    x = train_rows[0]
    fitted = IsolationForest().fit(x, contamination=0.2)
    fitted.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    assert loaded.threshold_ == fitted.threshold_
    np.testing.assert_array_equal(loaded.labels_, fitted.labels_)
    np.testing.assert_array_equal(loaded.decision_scores_, fitted.decision_scores_)
    with pytest.warns(UserWarning, match="scaled alike"):
        loaded.predict(1000 * x)
    path = tmp_path / "model/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["training_rows"], manifest["checksum"]
    path.write_text(json.dumps(manifest))
    earlier = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(earlier.decision_function(x), fitted.decision_function(x))
    with pytest.raises(UserError, match="no threshold yet"):
        earlier.predict(x)
    earlier.save(tmp_path / "again")
    assert earlier.calibrate(x, 0.1).predict(x).sum() == 46


def test_load_looks_at_the_class(train_rows, tmp_path):
    IsolationForest().fit(train_rows[0]).save(tmp_path / "model")
    with pytest.raises(UserError, match=r"a model of IsolationForest, expected Autoencoder"):
        Autoencoder.load(tmp_path / "model")


@pytest.mark.slow
def test_many_detectors_retrace_without_a_warning(train_rows, caplog):
    x = train_rows[0]
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        for _ in range(7):
            autoencoder = make("Autoencoder", epochs=1).fit(x)
            autoencoder.predict(x)
            autoencoder.explain(x[:5])
    assert "retracing" not in caplog.text
