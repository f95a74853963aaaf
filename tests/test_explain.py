"""Explanations: exact where the answer is known, complete, and from rows that the model keeps."""

import copy
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make

from baselines import Autoencoder
from libs.A3 import A3
from libs.architecture.gradients import RawGradients
from libs.architecture.target import dropout_dense_autoencoder
from libs.datasets.splits.rows import Rows
from libs.detectors import attribution, path_gradients
from libs.detectors.attribution import Explanation, nearest, strongest
from libs.detectors.detector import Detector
from libs.detectors.path_gradients import path_graph
from libs.R2AD2 import R2AD2
from libs.targets.checkpoints import Checkpoints
from libs.utils.errors import UserError


def _explained(score, x, start, points=path_gradients.POINTS):
    """Contributions, scores at both ends, and what the gradients left over."""
    graph = path_graph(score, x.shape[1:], points)
    return [np.asarray(part) for part in graph(x, start, 0)]


def _rows(n=6, width=4):
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, n, width)).astype(np.float32)


def test_a_linear_score():
    """Each feature contributes its weight times its way."""
    x, start = _rows()
    weights = np.float32([1, -2, 0, 3])
    found, scores, base, left = _explained(lambda v: v @ weights[:, None] + 5.0, x, start)
    np.testing.assert_allclose(found, (x - start) * weights, atol=1e-5)
    np.testing.assert_allclose(scores, x @ weights + 5, atol=1e-5)
    np.testing.assert_allclose(base, start @ weights + 5, atol=1e-5)
    assert left.max() < 1e-5


def test_a_product_is_shared():
    """Of x1·x2 from the origin, each factor contributes half."""
    x, _ = _rows()
    found, *_ = _explained(lambda v: v[:, 0] * v[:, 1], x, np.zeros_like(x))
    half = 0.5 * x[:, 0] * x[:, 1]
    np.testing.assert_allclose(found, np.stack([half, half, 0 * half, 0 * half], 1), atol=1e-3)


@pytest.mark.parametrize("steepness", [1, 30, 300])
@pytest.mark.slow
def test_a_score_that_is_flat_nearly_everywhere(steepness):
    """A sigmoid as steep as that of a sure alarm: points gather where it rises."""
    x, start = np.ones((1, 4), np.float32), np.zeros((1, 4), np.float32)
    weights = np.float32([4, 3, -2, 0])
    score = lambda v: tf.sigmoid(steepness * (tf.linalg.matvec(v, weights) - 1.7))  # noqa: E731
    found, (high,), (low,), (left,) = _explained(score, x, start)
    assert left < 0.2
    np.testing.assert_allclose(found[0], weights / 5 * (high - low), atol=0.1)


@pytest.mark.slow
def test_more_points_leave_less():
    x, start = _rows()
    score = lambda v: tf.sigmoid(5.0 * tf.reduce_sum(tf.nn.relu(v), axis=1))  # noqa: E731
    left = [_explained(score, x, start, points)[3].sum() for points in (9, 33, 129)]
    assert left[0] > 2 * left[1] > 4 * left[2] > 0


def test_a_jump_goes_to_the_features_that_move_the_score_there():
    """What no derivative sees is not lost."""
    x, start = np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32)
    score = lambda v: tf.cast(v[:, 0] > 0.37, tf.float32) + 0.5 * v[:, 0]  # noqa: E731
    found, scores, base, left = _explained(score, x, start)
    assert left[0] == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(found, [[1.5, 0, 0]], atol=1e-4)
    assert found.sum() == pytest.approx((scores - base)[0], abs=1e-5)


def test_a_row_that_is_its_reference():
    x = _rows()[0]
    found, scores, base, _ = _explained(lambda v: tf.reduce_sum(v**2, axis=1), x, x)
    np.testing.assert_array_equal(found, 0)
    np.testing.assert_array_equal(scores, base)


def test_chunks_of_any_size():
    x, start = _rows(50)
    graph = path_graph(lambda v: tf.reduce_sum(tf.sin(3 * v), axis=1), (4,))
    parts = [path_gradients.integrated_gradients(graph, x, start, 0, n) for n in (1, 100, 10**6)]
    for part in parts[1:]:
        np.testing.assert_allclose(part.contributions, parts[0].contributions, atol=1e-6)


def test_nearest_is_that_of_the_distances():
    x, reference = np.random.default_rng(0).random((2, 40, 3, 5), np.float32)
    x += 1000  # float32 would not do
    reference += 1000
    distances = np.square(x[:, None].astype(float) - reference).sum(axis=(2, 3))
    np.testing.assert_array_equal(nearest(x, reference), distances.argmin(axis=1))


def test_strongest_features():
    names, values = strongest(np.array([[0.1, -3, 2], [0, 0, 0.5]]), ["a", "b", "c"], 2)
    assert names.tolist() == [["c", "a"], ["c", "a"]]
    assert values.tolist() == [[2, 0.1], [0.5, 0]]
    assert strongest(np.ones((1, 2, 2)), list("abcd"), 9)[0].tolist() == [list("abcd")]


# --- detectors ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def a3(train_rows):
    x, y = train_rows
    return make("A3").set_params(budgets=(0, 60)).fit(x, y).keep_reference(x[y == 0], seed=3)


def _swapped(detector, x, start, segments=64):
    """Contributions without any gradient: features move on one by one, in random orders."""
    rng, total = np.random.default_rng(0), np.zeros(x.shape)
    for i in range(segments):
        here, there = (start + (x - start) * np.float32(k / segments) for k in (i, i + 1))
        order = rng.permutation(x.shape[1])
        moved = np.arange(x.shape[1]) < np.arange(x.shape[1] + 1)[:, None]
        moved = moved[:, np.argsort(order)][:, None]  # (steps, 1, features)
        scores = detector.decision_function(np.where(moved, there, here).reshape(-1, x.shape[1]))
        total[:, order] += np.diff(scores.reshape(-1, len(x)), axis=0).T
    return total


@pytest.mark.parametrize("name", ["A3", "ARGUE", "R2AD2"])
@pytest.mark.slow
def test_the_same_as_without_gradients(name, train_rows, test_rows):
    """ARGUE's needs the gate's gradient, R2AD2's the gradient of gradients."""
    x, y = train_rows
    detector = make(name, epochs=20)
    if name == "R2AD2":  # the wider its target, the less its gradients jump
        detector.set_params(target__dims=(12, 8, 4))
    detector.fit(x, y).keep_reference(x[y == 0])
    rows = test_rows[0][300:310]
    found = detector.explain(rows)
    expected = _swapped(detector, rows, detector.reference_[found.reference])
    gap = np.abs(found.contributions - expected).sum(axis=1).mean()
    assert gap < 0.05 * np.abs(expected).sum(axis=1).mean()
    assert found.missed.mean() < 0.1 * np.abs(found.scores - found.base).mean()


@pytest.mark.slow
def test_each_label_budget_is_explained(a3, test_rows):
    x = test_rows[0][290:310]
    matrix = a3.decision_matrix(x)
    for column, budget in enumerate(a3.budgets_):
        found = a3.explain(x, budget)
        np.testing.assert_allclose(found.scores, matrix[:, column], atol=1e-6)
    np.testing.assert_array_equal(found.contributions, a3.explain(x).contributions)
    assert np.abs(found.contributions - a3.explain(x, 0).contributions).max() > 0.01


@pytest.mark.slow
def test_layers_add_up(a3, test_rows, tmp_path):
    x = test_rows[0][290:310]
    found, whole = a3.explain_parts(x), a3.explain(x)
    assert found.names == tuple(a3._activations.layer_names)
    assert found.contributions.shape == (20, 3)
    np.testing.assert_allclose(found.scores, whole.scores, atol=1e-6)
    np.testing.assert_allclose(found.base, whole.base, atol=1e-6)
    np.testing.assert_array_equal(found.reference, whole.reference)
    total = found.contributions.sum(axis=1)
    np.testing.assert_allclose(total, found.scores - found.base, atol=1e-5)
    assert found.missed.mean() < 0.05 * np.abs(total).mean()
    a3.save(tmp_path / "model")
    again = Detector.load(tmp_path / "model").explain_parts(x)
    np.testing.assert_array_equal(again.contributions, found.contributions)
    assert again.names == found.names


def test_a_layer_that_the_alarm_does_not_read_contributes_nothing(a3, test_rows):
    silent = copy.copy(a3)
    silent.__dict__.pop("_verdict_path", None)
    silent.alarm_ = keras.models.clone_model(a3.alarm_)
    silent.alarm_.set_weights(a3.alarm_.get_weights())
    kernel = silent.alarm_.trainable_variables[0]
    weights = kernel.numpy()
    weights[slice(*np.cumsum(a3._activations.layer_widths)[:2])] = 0  # of the second layer
    kernel.assign(weights)
    found = silent.explain_parts(test_rows[0][290:310]).contributions
    assert np.abs(found[:, 1]).max() < 1e-6
    assert np.abs(found[:, [0, 2]]).min(axis=0).max() > 0


@pytest.mark.slow
def test_images(train_rows):
    """R2AD2's convolutional target has second derivatives too, pooling and transposed ones."""
    x = np.random.default_rng(0).random((24, 28, 28, 1), np.float32)
    quick = {"epochs": 1, "batch_size": 16}
    targets = {
        A3: Autoencoder("conv", (4, 2, 2), **quick),
        R2AD2: Checkpoints("dropout_conv", (3,), copies=1, **quick),
    }
    for method, target in targets.items():
        steps = {"steps": 1} if method is R2AD2 else {}
        detector = method(target=target, alarm_dims=(4, 4), **steps, **quick)
        detector.fit(x, np.repeat([0, 1], 12)).keep_reference(x[:12])
        found = detector.explain(x[12:15])
        assert found.contributions.shape == (3, 28, 28, 1)
        total = found.contributions.sum(axis=(1, 2, 3))
        np.testing.assert_allclose(total, found.scores - found.base, rtol=1e-4, atol=1e-6)
        assert len(np.unique(found.contributions)) > 1000


@pytest.mark.slow
def test_second_derivatives_are_those_of_differences():
    """Of R2AD2's features, in float64 and away from the places where a unit switches on."""
    keras.config.set_dtype_policy("float64")
    try:
        model = dropout_dense_autoencoder((5,), (4, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    gradients, mix = RawGradients([model]), rng.normal(size=(1, model.count_params()))

    def score(v):
        return tf.reduce_sum(tf.tanh(gradients(v) * mix), axis=(1, 2))

    step, x = 1e-6, tf.constant(rng.normal(size=(7, 5)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(score(x))
    found = tape.gradient(total, x).numpy()
    for i, way in enumerate(step * np.eye(5)):
        expected = (score(x + way) - score(x - way)) / (2 * step)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_what_gradients_miss_is_told(train_rows, test_rows, a3):
    """R2-AD2's sketched gradients jump where units switch on; A3's score is smooth."""
    x, y = train_rows
    rows = test_rows[0][290:330]
    sketch = make("R2AD2Sketch").fit(x, y).keep_reference(x[y == 0]).explain(rows)
    gap = np.abs(sketch.scores - sketch.base)
    np.testing.assert_array_equal(sketch.doubtful, sketch.missed > 0.5 * gap)
    assert sketch.doubtful.any()
    assert a3.explain(rows).doubtful.mean() < sketch.doubtful.mean()
    assert not attribution.of_errors(rows).doubtful.any()


# --- reference rows ------------------------------------------------------------------------------
def test_reference_rows_are_normal_training_rows(a3, train_rows, tmp_path):
    x = train_rows[0][:400]
    assert len(a3.reference_) == 256
    numbers = nearest(a3.reference_, x)
    np.testing.assert_array_equal(a3.reference_, x[numbers])
    assert (np.diff(numbers) > 0).all()
    other = copy.copy(a3).keep_reference(x, seed=4).reference_
    assert not np.array_equal(other, a3.reference_)
    np.testing.assert_array_equal(
        copy.copy(a3).keep_reference(Rows(x), 3).reference_, a3.reference_
    )
    np.testing.assert_array_equal(copy.copy(a3).keep_reference(x[:9]).reference_, x[:9])
    a3.save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model/manifest.json").read_text())
    drawn = {"rows": 256, "from": "400 normal training rows", "seed": 3}
    assert manifest["reference"] == drawn
    assert "reference.npz" in manifest["files"]
    loaded = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.reference_, a3.reference_)
    loaded.save(tmp_path / "again")
    again = json.loads((tmp_path / "again/manifest.json").read_text())
    assert again["reference"] == drawn


@pytest.mark.slow
def test_models_without_reference_rows(train_rows, tmp_path):
    """Those of earlier versions have no word of it in their manifest."""
    x, y = train_rows
    a3 = make("A3", epochs=1).fit(x, y)
    a3.save(tmp_path / "model")
    path = tmp_path / "model/manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("reference") is None
    del manifest["checksum"]
    path.write_text(json.dumps(manifest))
    loaded = Detector.load(tmp_path / "model")
    for explain in (loaded.explain, loaded.explain_parts):
        with pytest.raises(UserError, match=r"--no_reference.*keep_reference\(x\).*--override"):
            explain(x[:3])
    assert loaded.keep_reference(x[y == 0]).explain(x[:3]).contributions.shape == (3, 20)


@pytest.mark.slow
def test_fit_forgets_reference_rows_and_graphs(train_rows):
    x, y = train_rows
    quick = {"epochs": 1, "batch_size": 256}
    a3 = A3(Autoencoder(dims=(4,), **quick), alarm_dims=(4,), **quick)
    a3.fit(x, y).keep_reference(x[y == 0])
    a3.explain(x[:2]), a3.explain_parts(x[:2])
    narrow = a3.fit(x[:, :9], y)
    with pytest.raises(UserError, match="no reference rows"):
        narrow.explain(x[:2, :9])
    narrow.keep_reference(x[y == 0][:, :9])
    assert narrow.explain(x[:2, :9]).contributions.shape == (2, 9)
    assert narrow.explain_parts(x[:2, :9]).contributions.shape == (2, 1)


def test_a_row_that_is_wrong_is_named(a3):
    with pytest.raises(UserError, match=r"\(20,\)"):
        a3.explain(np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"\(20,\)"):
        a3.keep_reference(np.zeros((2, 3)))


@pytest.mark.slow
def test_blocks_are_joined(a3, test_rows):
    chunks = [test_rows[0][:3], test_rows[0][3:10]]
    found, whole = a3.explain(iter(chunks)), a3.explain(test_rows[0][:10])
    assert isinstance(found, Explanation)
    np.testing.assert_allclose(found.contributions, whole.contributions, atol=1e-5)
    np.testing.assert_array_equal(found.reference, whole.reference)


def test_a_rare_kind_is_told_by_what_makes_it_rare():
    """Of 40 normal rows of a rare kind, one more: the nearest reference rows are of that kind."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (1040, 4)).astype(np.float32)
    x[:40] += rng.normal(0, 0.5, (40, 4))
    x[:40, 2] += 9
    detector = make("KNN").fit(x[2:]).keep_reference(x[2:])
    found = detector.explain(x[:2])
    assert (found.contributions.argmax(axis=1) == 2).all()
    assert (found.base < 0.2 * found.scores).all()
