"""R2-AD2: its checkpoints, its alarm networks, and label budgets; the sketch likewise."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make
from keras import layers
from sklearn.metrics import roc_auc_score

from libs.A3 import A3
from libs.architecture.alarm import dense_alarm, sequence_alarm
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.detectors.detector import Detector
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell
from libs.ExperimentWrapper import ExperimentWrapper
from libs.R2AD2 import R2AD2
from libs.R2AD2Sketch import R2AD2Sketch
from libs.targets.checkpoints import Checkpoints, list_copies
from libs.training import loop as training
from libs.utils.errors import UserError

METHODS = ["R2AD2", "R2AD2Sketch"]


@pytest.fixture(scope="module")
def checkpoints(train_rows):
    x, y = train_rows
    return make("Checkpoints").set_params(copies=4, random_state=3).fit(x[y == 0])


def small(name, checkpoints, **settings):
    return make(name).set_params(target=checkpoints, epochs=3, **settings)


def alarm_weights(detector):
    return [v.numpy() for v in detector.alarm_.trainable_variables]


# --- checkpoints ---------------------------------------------------------------------------------
@pytest.mark.slow
def test_first_checkpoints_do_not_depend_on_later_ones(checkpoints, train_rows):
    """One training serves every number of checkpoints."""
    x, y = train_rows
    fewer = make("Checkpoints").set_params(copies=2).fit(x[y == 0])
    for a, b in zip(list_copies(fewer.model_), list_copies(checkpoints.model_), strict=False):
        for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(v, w)
    assert len(list_copies(fewer.model_)) == 2
    assert checkpoints.training_.epochs == 20 + 3 * 5
    assert fewer.training_.epochs == 20 + 5


@pytest.mark.slow
def test_checkpoints_differ_and_improve(checkpoints):
    kernels = [copy.get_weights()[0] for copy in list_copies(checkpoints.model_)]
    for a, b in pairwise(kernels):
        assert 0 < np.abs(a - b).max() < 0.5
    losses = checkpoints.training_.losses
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_every_stage_learns_from_the_same_rows(train_rows, monkeypatch):
    """The hold-out is drawn once: 75 % of the rows, the same in all stages, others in no stage."""
    seen = []

    def watched(step, rows, **kwargs):
        seen.append(rows[0])
        return training.train(step, rows, **kwargs)

    monkeypatch.setattr("libs.targets.checkpoints.train", watched)
    x = train_rows[0][:400]
    target = make("Checkpoints", epochs=1).set_params(copies=4, epochs_between=1).fit(x)
    assert len(seen) == 4
    for rows in seen:
        np.testing.assert_array_equal(rows, x[target.rows(400)])
    assert len(np.unique(target.rows(400))) == 300
    other = Checkpoints(random_state=4).rows(400)
    assert not np.array_equal(target.rows(400), other)


@pytest.mark.slow
def test_adam_goes_on_between_checkpoints(train_rows, monkeypatch):
    """A new Adam in each stage would start its moments anew."""
    made = []
    plain = training.Adam.__init__

    def counted(self, *args):
        made.append(self)
        plain(self, *args)

    monkeypatch.setattr(training.Adam, "__init__", counted)
    make("Checkpoints", epochs=1).set_params(copies=4).fit(train_rows[0])
    assert len(made) == 1
    updates = 16 * int(np.ceil(round(0.75 * 460) / 32))
    assert float(made[0].powers[0]) == pytest.approx(0.9 ** (updates + 1), rel=1e-3)


# --- both methods --------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("R2AD2", 1), ("R2AD2Sketch", 3)])
def test_any_number_of_checkpoints(name, steps, checkpoints, train_rows, test_rows, tmp_path):
    """A fitted target is used as it is."""
    before = checkpoints.model_.get_weights()
    detector = small(name, checkpoints, steps=steps).fit(*train_rows)
    assert detector.target_ is checkpoints.model_
    for a, b in zip(before, checkpoints.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    scores = detector.decision_function(test_rows[0])
    detector.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.decision_function(test_rows[0]), scores)
    assert scores.std() > 1e-5


@pytest.mark.parametrize("name", METHODS)
def test_more_steps_than_checkpoints(name, checkpoints, train_rows):
    for steps in (0, 5):
        with pytest.raises(UserError, match=f"steps {steps}: expected a number from 1 to the 4"):
            small(name, checkpoints, steps=steps).fit(*train_rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_budgets_alone_and_together_agree(name, checkpoints, train_rows, test_rows):
    """Trained alone or with others, a budget gives the same scores to 1e-4 (design).

    Known anomalies beyond the budget, which are others when it is alone, change nothing; the last
    one within it does.
    """
    x, y = train_rows[0].copy(), train_rows[1]
    together = small(name, checkpoints, budgets=(0, 5)).fit(x, y)
    matrix = together.decision_matrix(test_rows[0])
    assert matrix.shape == (len(test_rows[0]), 2)
    assert not np.allclose(matrix[:, 0], matrix[:, 1], atol=1e-3)
    x[np.flatnonzero(y)[5:]] = 0.9
    alone = small(name, checkpoints, budgets=(5,)).fit(x, y)
    scores = alone.decision_function(test_rows[0])
    np.testing.assert_allclose(scores, matrix[:, 1], atol=1e-4, rtol=0)
    x[np.flatnonzero(y)[4]] = 0.9
    changed = together.fit(x, y).decision_matrix(test_rows[0])
    np.testing.assert_array_equal(matrix[:, 0], changed[:, 0])
    assert not np.array_equal(matrix[:, 1], changed[:, 1])


@pytest.mark.slow
def test_conv_targets(tmp_path):
    """Images go through the whole method, for every kind of layer."""
    rng = np.random.default_rng(0)
    x = rng.random((24, 28, 28, 1)).astype(np.float32)
    y = np.repeat([0, 1], [20, 4])
    target = Checkpoints("dropout_conv", (8,), epochs=1, epochs_between=1, batch_size=8)
    target.set_params(copies=2).fit(x[y == 0])
    small_alarm = {"epochs": 1, "batch_size": 8}
    for detector in (
        R2AD2(target, alarm_dims=(6, 5, 4), steps=2, **small_alarm),
        R2AD2Sketch(target, size=4, alarm_dims=(6,), steps=1, **small_alarm),
    ):
        scores = detector.fit(x, y).decision_function(x)
        detector.save(tmp_path / "model")
        np.testing.assert_array_equal(
            Detector.load(tmp_path / "model").decision_function(x), scores
        )
        assert scores.std() > 0


# --- R2AD2 ---------------------------------------------------------------------------------------
def test_alarm_networks_of_the_paper():
    """The sizes of §1.5: P statistics for all steps; LSTMs, or dense layers for one step."""
    alarm = sequence_alarm(3, 126, (100, 50, 25, 10), 0.4, "alarm")
    normalise, head = alarm.layers
    assert [w.shape for w in normalise.weights] == [(126,)] * 4
    assert (normalise.momentum, normalise.epsilon) == (0.99, 1e-3)
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["LSTM", "LSTM", "Flatten", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert head.layers[0].count_params() == 4 * 100 * (126 + 101)
    assert [layer.dropout for layer in head.layers[:2]] == [0.4, 0.4]
    assert [layer.recurrent_dropout for layer in head.layers[:2]] == [0.0, 0.0]
    one = sequence_alarm(1, 126, (100, 50, 25, 10), 0.4, "alarm").layers[1]
    kinds = [type(layer).__name__ for layer in one.layers]
    assert kinds == ["Flatten", *["Dense", "Dropout"] * 4, "Dense"]
    assert [la.units for la in one.layers if isinstance(la, layers.Dense)] == [100, 50, 25, 10, 1]


@pytest.mark.slow
def test_equals_the_plain_procedure(checkpoints, train_rows):
    """The same weights as the procedure written plainly: gradients for each update by the tape.

    The same first weights, order of rows and noise; no dropout, whose masks cannot be given.
    """
    x, y = (rows[-90:] for rows in train_rows)
    settings = {"alarm_dims": (6, 5, 4), "dropout": 0.0, "epochs": 2, "batch_size": 32, "steps": 2}
    detector = R2AD2(checkpoints, learning_rate=5e-3, random_state=3, **settings).fit(x, y)
    start = R2AD2(checkpoints, random_state=3, **settings | {"epochs": 0}).fit(x, y).alarm_
    (alarm,) = [la for la in start.layers if isinstance(la, keras.Model)]
    normalise, head = alarm.layers
    of_head, of_scale = keras.optimizers.Adam(5e-3), keras.optimizers.Adam(5e-3)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)
    def plain_gradient(row):
        found = []
        for copy in list_copies(checkpoints.model_)[:2]:
            weights = [v.value for v in copy.trainable_variables]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                h = row[None]
                for layer in copy.layers[:-1]:
                    h = layer(h)
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(row[None], h))
            gradients = tape.gradient(loss, weights)
            found.append(tf.concat([tf.reshape(g, [-1]) for g in gradients], axis=0))
        return tf.stack(found)

    step = 0
    for epoch in range(2):
        order = np.random.default_rng(training.derive_seed(3, "R2AD2", epoch)).permutation(len(x))
        for begin in range(0, len(x), 32):
            rows = order[begin : begin + 32]
            seed = tf.constant([training.derive_seed(3, "R2AD2", "steps"), step])
            noise = tf.random.stateless_normal((len(rows), 20), seed, 0.5, 1.0)
            real, made = (tf.stack([plain_gradient(r) for r in b]) for b in (x[rows], noise))
            with tf.GradientTape() as tape:
                loss = entropy(y[rows, None], head(normalise(real, training=False)))
                made = head(normalise(made, training=False))
                loss += entropy(tf.ones_like(made), made)
            weights = head.trainable_variables
            of_head.apply(tape.gradient(loss, weights), weights)
            with tf.GradientTape() as tape:
                loss = entropy(y[rows, None], head(normalise(real, training=True)))
            weights = normalise.trainable_variables
            of_scale.apply(tape.gradient(loss, weights), weights)
            step += 1
    assert step == 6
    for a, b in zip(detector.alarm_.weights, start.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-4)
    moved = [v.numpy() for v in normalise.non_trainable_variables]
    assert not np.array_equal(moved[0], np.zeros_like(moved[0]))


# --- the sketch ----------------------------------------------------------------------------------
@pytest.mark.slow
def test_statistics_are_those_of_normal_training_rows(checkpoints, train_rows, monkeypatch):
    """In one pass by chunks, equal to numpy's; known anomalies have no part."""
    monkeypatch.setattr("libs.R2AD2Sketch.CHUNK", 64)
    x, y = train_rows
    detector = small("R2AD2Sketch", checkpoints).fit(x, y)
    sketches = np.asarray(detector._sketch(tf.constant(x[y == 0])), np.float64)
    np.testing.assert_allclose(detector.mean_, sketches.mean(axis=0), rtol=1e-4, atol=1e-7)
    std = sketches.std(axis=0)
    assert (detector.std_ >= 0.99e-2 * np.median(std)).all()
    np.testing.assert_allclose(detector.std_, np.maximum(std, 1e-2 * np.median(std)), rtol=1e-3)
    features = np.asarray(detector._features(tf.constant(x[y == 0])))
    assert abs(np.median(features.std(axis=0)) - 1) < 0.01
    assert np.abs(features.mean(axis=0)).max() < 0.01


@pytest.mark.slow
def test_dropout_after_every_layer_of_a_dense_alarm(train_rows):
    """A3 as in R2-AD2's experiments: a rate for each layer; one number stands for the last."""
    rates = [
        layer.rate
        for layer in dense_alarm(9, (8, 4), (0.2, 0.2), 1, 0).layers[1:]
        if isinstance(layer, layers.Dropout)
    ]
    assert rates == [0.2, 0.2]
    alarm = dense_alarm(9, (8, 4), 0.1, 1, 0)
    assert [la.rate for la in alarm.layers if isinstance(la, layers.Dropout)] == [0.0, 0.1]
    a3 = make("A3").set_params(dropout=(0.2, 0.2), epochs=2).fit(*train_rows)
    assert isinstance(a3, A3)
    with pytest.raises(ValueError, match="shorter"):
        dense_alarm(9, (8, 4), (0.2,), 1, 0)


@pytest.mark.slow
def test_five_known_anomalies_help(checkpoints, train_rows, test_rows):
    """Balanced batches: five labels among four hundred rows are enough to be noticed."""
    detector = make("R2AD2Sketch").set_params(target=checkpoints, budgets=(0, 5))
    matrix = detector.fit(*train_rows).decision_matrix(test_rows[0])
    without, with_five = (roc_auc_score(test_rows[1], column) for column in matrix.T)
    assert with_five > without + 0.05


# --- in an experiment ----------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.usefixtures("without_roc_pictures")
def test_one_training_of_checkpoints_serves_all(tmp_path):
    """Every number of steps, every method: one Checkpoints, trained once, a method of its own."""
    handler = DataHandler(datasets.load("digits"), SplitRules(test=0.3, validation=0.15), 110)
    quick = {"epochs": 1, "batch_size": 128}
    target = Checkpoints(dims=(8, 4), copies=2, epochs_between=1, **quick)
    methods = {
        "R2AD2-1": R2AD2(target, steps=1, alarm_dims=(6, 4), **quick),
        "R2AD2-sketch": R2AD2Sketch(target, steps=2, size=4, alarm_dims=(6,), **quick),
    }
    places = {"model_path": tmp_path / "models", "result_path": tmp_path / "results"}
    wrapper = ExperimentWrapper(handler, "r2ad2", "test", RunSettings(**places))
    experiment = Experiment(("0", "1"), ("2",), ("3",))
    wrapper.run(Cell(experiment, (5,), schedule=5), methods)
    assert wrapper.finish() == 0
    folder = tmp_path / "models/digits/r2ad2/110" / experiment.name
    found = sorted(str(p.parent.relative_to(folder)) for p in folder.glob("*/*/manifest.json"))
    names = ["Checkpoints/run", "R2AD2-1/n5", "R2AD2-sketch/n5"]
    assert found == names
    first = Detector.load(folder / "Checkpoints/run").model_.get_weights()
    for name in names[1:]:
        for a, b in zip(first, Detector.load(folder / name).target_.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
