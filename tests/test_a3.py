"""A3 itself: what it reads of a target, label budgets, and its parts."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make
from keras import layers
from processes import ROOT

import do_mnist
import parameter_mnist
from baselines import VAE, Autoencoder
from libs.A3 import A3
from libs.architecture.alarm import dense_alarm
from libs.architecture.anomaly import GaussianNoise
from libs.architecture.target import HiddenActivations, conv_autoencoder, dense_autoencoder
from libs.detectors.detector import Detector
from libs.experiments.protocols.a3 import a3_methods
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed


@pytest.mark.parametrize(
    ("shape", "dims", "width"),
    [
        ((122,), (200, 100, 50, 25), 725),
        ((80,), (150, 80, 40, 20), 560),
        ((29,), (50, 25, 10, 5), 175),
    ],
    ids=["NSL-KDD", "IDS", "CreditCard"],
)
def test_dense_widths(shape, dims, width):
    target = dense_autoencoder(shape, dims)
    assert HiddenActivations(target).width == width
    assert target.output_shape == (None, *shape)


def test_conv_width():
    target = conv_autoencoder((28, 28, 1))
    activations = HiddenActivations(target)
    assert activations.layer_widths == [3136, 392, 128, 128, 512, 3136]
    assert activations.width == 7432
    assert target.output_shape == (None, 28, 28, 1)
    with pytest.raises(UserError, match="28"):
        conv_autoencoder((8, 8, 1))


def _fused():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="relu"),
            layers.Dense(4, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def _functional():
    x = keras.Input((6,))
    left = layers.LeakyReLU()(layers.Dense(5)(x))
    right = layers.PReLU()(layers.Dense(4)(x))
    joined = layers.Dense(3)(layers.Concatenate()([left, right]))
    return keras.Model(x, layers.Softmax()(joined))


def _nested():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu")])
    inmost = keras.Sequential([keras.Input((5,)), layers.Dense(4), layers.ReLU()])
    outer = keras.Sequential([inmost, layers.Dense(2)])
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(3)(outer(inner(x))))


def _shared():
    """One activation layer used twice counts twice."""
    relu = layers.ReLU()
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(1)(relu(layers.Dense(4)(relu(layers.Dense(5)(x))))))


def _recurrent():
    x = keras.Input((6,))
    sequence = layers.TimeDistributed(layers.Dense(2, activation="relu"))(layers.Reshape((3, 2))(x))
    return keras.Model(x, layers.Dense(1)(layers.LSTM(3)(sequence)))


def _reshaped_output():
    """The output is not hidden, even where it is reshaped after its activation."""
    stack = [keras.Input((6,)), layers.Dense(9, activation="elu")]
    return keras.Sequential([*stack, layers.Dense(6, activation="sigmoid"), layers.Reshape((6,))])


@pytest.mark.parametrize(
    ("build", "widths"),
    [
        (_fused, [5, 4]),
        (_functional, [5, 4]),
        (_nested, [5, 4]),
        (_shared, [5, 4]),
        (_recurrent, [6, 3]),
        (_reshaped_output, [9]),
    ],
)
@pytest.mark.slow
def test_any_target(build, widths, tmp_path):
    """Foreign targets are read, stay as they are, and come back from the disk."""
    keras.utils.set_random_seed(1)
    target = build()
    activations = HiddenActivations(target)
    assert sorted(activations.layer_widths) == sorted(widths)
    x = np.random.default_rng(0).random((7, 6)).astype(np.float32)
    direct = np.asarray(activations(tf.constant(x)))
    compiled = np.asarray(tf.function(activations)(tf.constant(x)))
    np.testing.assert_allclose(direct, compiled, rtol=1e-5, atol=1e-6)

    y = np.array([0, 0, 0, 0, 0, 1, 1])
    before = target.get_weights()
    a3 = A3(target=target, alarm_dims=(8,), epochs=2, batch_size=4).fit(x, y)
    for old, new in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    a3.save(tmp_path / "a3")
    loaded = Detector.load(tmp_path / "a3")
    np.testing.assert_array_equal(loaded.decision_function(x), a3.decision_function(x))


def test_subclassed_target():
    """A model that is plain Python is read within a functional one, which knows its input."""

    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Dense(5, activation="relu")
            self.last = layers.Dense(2)

        def call(self, x):
            return self.last(self.first(x))

    with pytest.raises(UserError, match="fixed shape"):
        HiddenActivations(Plain())
    x = keras.Input((6,))
    assert HiddenActivations(keras.Model(x, Plain()(x))).layer_widths == [5]


def test_activations_are_the_layers_outputs():
    """Values equal those computed layer by layer."""
    model = _fused()
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    first = np.asarray(model.layers[0](x))
    expected = np.concatenate([first, np.asarray(model.layers[1](first))], axis=1)
    np.testing.assert_allclose(np.asarray(HiddenActivations(model)(tf.constant(x))), expected)


def test_inference_mode():
    """Dropout in the target is off: the same rows give the same activations."""
    model = conv_autoencoder((28, 28, 1), dropout=0.9)
    x = tf.constant(np.random.default_rng(0).random((2, 28, 28, 1)), tf.float32)
    activations = tf.function(HiddenActivations(model))
    np.testing.assert_array_equal(activations(x), activations(x))


def test_dropout_acts_on_what_follows_it():
    """By the seed alone: whole channels, to about the same mean; what is before it stays."""
    model = conv_autoencoder((28, 28, 1), dropout=0.5)
    x = tf.constant(np.random.default_rng(0).random((50, 28, 28, 1)), tf.float32)
    still = np.asarray(HiddenActivations(model)(x))
    acting = HiddenActivations(model, dropout=True)
    states = [np.asarray(v) for v in model.variables]
    one, again, other = (np.asarray(acting(x, tf.constant([3, i]))) for i in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one[:, :-3136], still[:, :-3136])
    assert not np.array_equal(one, other)
    dropped = (one[:, -3136:] == 0).reshape(50, 196, 16).all(axis=1)
    assert 0.4 < dropped.mean() < 0.6
    np.testing.assert_allclose(one[:, -3136:].mean(), still[:, -3136:].mean(), rtol=0.2)
    for before, after in zip(states, model.variables, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
def test_an_alarm_on_activations_with_dropout(tmp_path):
    """Same seed, same bits; scores themselves are without dropout; off is what it was before."""
    rng = np.random.default_rng(0)
    x, y = rng.random((24, 28, 28, 1), np.float32), np.repeat([0, 1], [20, 4])
    target = conv_autoencoder((28, 28, 1), dropout=0.5)
    a3 = A3(target=target, alarm_dims=(8,), epochs=3, batch_size=8, learning_rate=1e-3)
    off = a3.fit(x, y).decision_function(x)
    a3.set_params(target_dropout=True)
    first, second = (a3.fit(x, y).decision_function(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, off)
    a3.save(tmp_path / "a3")
    np.testing.assert_array_equal(Detector.load(tmp_path / "a3").decision_function(x), first)


def test_images_of_the_paper_have_the_targets_dropout():
    """Under the protocol a3, as in the authors' code; nowhere else is it on."""
    options = SimpleNamespace(use_vae=False)
    assert do_mnist.a3(options).methods(None)["A3"].target_dropout
    grid = parameter_mnist.parameters(options).methods(None)
    assert all(method.target_dropout for name, method in grid.items() if name != "Autoencoder")
    assert not a3_methods(Autoencoder())["A3"].target_dropout
    assert not A3().target_dropout


@pytest.mark.slow
def test_activations_are_read_by_threads_at_once():
    """No layer is changed while rows are read."""
    model = _nested()
    activations = HiddenActivations(model)
    rows = [tf.constant(np.random.default_rng(i).random((9, 6)), tf.float32) for i in range(60)]
    expected = [np.asarray(activations(x)) for x in rows]
    with ThreadPoolExecutor(8) as threads:
        for found, alone in zip(threads.map(activations, rows), expected, strict=True):
            np.testing.assert_array_equal(found, alone)
        models = threads.map(lambda _: HiddenActivations(model), range(8))
        for found in models:
            np.testing.assert_array_equal(found(rows[0]), expected[0])


def test_layers_that_cannot_be_told_are_an_error():
    class Foreign(keras.Model):
        def call(self, x):
            return tf.raw_ops.Relu(features=x)

    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(2)(Foreign(name="theirs")(x)))
    with pytest.raises(UserError, match="'theirs' cannot be told"):
        HiddenActivations(model)


def test_target_without_hidden_activations_lists_its_layers():
    stack = [keras.Input((6,)), layers.Dense(4, name="one"), layers.Dense(2, activation="softmax")]
    with pytest.raises(UserError, match=r"one \(Dense\)"):
        HiddenActivations(keras.Sequential(stack))


@pytest.mark.slow
def test_budgets_alone_and_together_agree(train_rows, test_rows):
    """Trained alone or with others, a budget gives the same scores to 1e-4 (design).

    When it is alone, known anomalies beyond it are others, and change nothing.
    """
    x, y = train_rows[0].copy(), train_rows[1]
    together = make("A3").set_params(budgets=(5, 60)).fit(x, y)
    assert together.budgets_ == (5, 60)
    matrix = together.decision_matrix(test_rows[0])
    assert matrix.shape == (len(test_rows[0]), 2)
    np.testing.assert_array_equal(matrix[:, -1], together.decision_function(test_rows[0]))
    for i, budget in ((1, 60), (0, 5)):
        x[np.flatnonzero(y)[budget:]] = 0.9
        alone = make("A3").set_params(budgets=(budget,)).fit(x, y)
        np.testing.assert_allclose(
            alone.decision_function(test_rows[0]), matrix[:, i], atol=1e-4, rtol=0
        )
    assert not np.allclose(matrix[:, 0], matrix[:, 1], atol=1e-2)


PENALTIES = {"weights_l1": 1e-3, "weights_l2": 0.01, "output_l1": 0.3, "output_l2": 0.2}


@pytest.mark.parametrize("penalties", [{}, PENALTIES], ids=["as published", "with penalties"])
@pytest.mark.slow
def test_equals_the_plain_procedure(train_rows, penalties):
    """The same weights as the paper's procedure written plainly with Keras' own parts.

    One budget alone, activations in the step, cross-entropy of a sigmoid, Keras' Adam; the same
    first weights, order of rows and noise; no dropout, whose masks cannot be given to Keras.
    """
    x, y = train_rows
    budget, epochs, batch, rate, seed = 20, 12, 32, 5e-3, 3
    target = Autoencoder(dims=(16, 8), epochs=2).fit(x[y == 0])
    a3 = A3(target=target, budgets=(5, budget), alarm_dims=(12, 6), dropout=0.0, epochs=epochs)
    a3.set_params(batch_size=batch, learning_rate=rate, random_state=seed, **penalties).fit(x, y)

    relus = [layer.output for layer in target.model_.layers if isinstance(layer, layers.ReLU)]
    activations = keras.Model(target.model_.inputs, layers.Concatenate()(relus))
    stack = [layers.Dense(12, activation="relu"), layers.Dense(6, activation="relu")]
    stack += [layers.Dense(1, activation="sigmoid")]
    plain = keras.Sequential([keras.Input((activations.output_shape[1],)), *stack])
    first = dense_alarm(40, (12, 6), 0.0, copies=1, seed=derive_seed(seed, "A3", "alarm"))
    weights = [w.reshape(s.shape) for w, s in zip(first.get_weights(), plain.weights, strict=True)]
    plain.set_weights(weights)
    optimiser, entropy = keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy()
    own = np.arange(len(x)) < len(x) - 60 + budget

    @tf.function(reduce_retracing=True)
    def update(known, labels, noise):
        with tf.GradientTape() as tape:
            real = plain(activations(known, training=False))
            generated = plain(activations(noise, training=False))
            loss = entropy(labels, real) + entropy(tf.ones_like(generated), generated)
            if penalties:
                kernel = plain.weights[0].value
                loss += 1e-3 * tf.reduce_sum(tf.abs(kernel))
                loss += 0.01 * tf.reduce_sum(kernel**2)
                for gap in (1 - real, 1 - generated):
                    loss += tf.reduce_mean(0.3 * gap + 0.2 * gap**2)
        variables = plain.trainable_variables
        optimiser.apply(tape.gradient(loss, variables), variables)

    step = 0
    for epoch in range(epochs):
        order = np.random.default_rng(derive_seed(seed, "A3", epoch)).permutation(len(x))
        for begin in range(0, len(x), batch):
            rows = order[begin : begin + batch]
            noise_seed = tf.constant([derive_seed(seed, "A3", "steps"), step])
            noise = tf.random.stateless_normal((len(rows), 20), noise_seed, 0.5, 1.0)
            rows = rows[own[rows]]
            update(tf.constant(x[rows]), tf.constant(y[rows, None]), noise)
            step += 1
    scores = np.asarray(plain(activations(x, training=False)))[:, 0]
    np.testing.assert_allclose(a3.decision_function(x), scores, atol=1e-4)
    assert scores.std() > (0.001 if penalties else 0.05)


@pytest.mark.slow
def test_a_budget_reads_its_own_rows_only(train_rows, test_rows):
    """Known anomalies beyond the budget change nothing where a VAE makes rows of rows, either."""
    x, y = train_rows[0].copy(), train_rows[1]
    vae = VAE(dims=(8,), code=2, epochs=2).fit(x[y == 0])
    small = make("A3", epochs=10).set_params(budgets=(5,), anomaly=vae)
    scores = small.fit(x, y).decision_function(test_rows[0])
    x[np.flatnonzero(y)[5:]] = 0.9
    np.testing.assert_array_equal(scores, small.fit(x, y).decision_function(test_rows[0]))


@pytest.mark.slow
def test_no_known_anomalies(train_rows):
    """A budget of 0 learns from generated rows alone."""
    x, y = train_rows
    a3 = make("A3").set_params(budgets=(0,)).fit(x, y)
    noise = np.random.default_rng(0).normal(0.5, 1, (100, 20)).astype(np.float32)
    assert a3.decision_function(noise).mean() > a3.decision_function(x[y == 0]).mean() + 0.2


@pytest.mark.parametrize("budgets", [(61,), (), (-1,)])
def test_bad_budgets(budgets, train_rows):
    with pytest.raises(UserError, match="60"):
        make("A3").set_params(budgets=budgets).fit(*train_rows)


@pytest.mark.slow
def test_targets_are_trained_once(train_rows):
    """A fitted detector or a Keras model is used as it is; an unfitted one is not changed."""
    x, y = train_rows
    target = Autoencoder(dims=(8, 4), epochs=2)
    A3(target=target, alarm_dims=(8,), epochs=1).fit(x, y)
    assert not hasattr(target, "training_")
    target.fit(x[y == 0])
    assert A3(target=target, alarm_dims=(8,), epochs=1).fit(x, y).target_ is target.model_


@pytest.mark.parametrize("anomaly", [GaussianNoise(), VAE(dims=(8,), code=2, epochs=2)])
@pytest.mark.slow
def test_anomaly_networks(anomaly, train_rows):
    """Fresh rows for every seed, the same for the same seed, in the shape of the real ones."""
    x, y = train_rows
    if isinstance(anomaly, VAE):
        anomaly.fit(x[y == 0])
    rows = tf.constant(x[:50])
    first, second = (np.asarray(anomaly.generate(rows, tf.constant([1, i]))) for i in (1, 2))
    assert first.shape == rows.shape
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, anomaly.generate(rows, tf.constant([1, 1])))
    a3 = A3(target=Autoencoder(dims=(8, 4), epochs=2), anomaly=anomaly, alarm_dims=(8,), epochs=1)
    assert np.isfinite(a3.fit(x, y).decision_function(x)).all()


def test_noise_is_as_in_the_paper():
    noise = np.asarray(GaussianNoise().generate(tf.zeros((2000, 50)), tf.constant([1, 2])))
    assert abs(noise.mean() - 0.5) < 0.01
    assert abs(noise.std() - 1) < 0.01


def test_alarm_copies_start_alike():
    x = np.random.default_rng(0).random((5, 12)).astype(np.float32)
    logits = np.asarray(dense_alarm(12, (8, 4), 0.1, copies=3, seed=2)(x))
    alone = np.asarray(dense_alarm(12, (8, 4), 0.1, copies=1, seed=2)(x))
    np.testing.assert_allclose(logits, np.repeat(alone, 3, axis=1), rtol=1e-5)


USERS = """
import numpy as np
from libs.utils.runtime import start_tensorflow
start_tensorflow()
from baselines import Autoencoder
from libs.A3 import A3
x, y = np.random.default_rng(0).random((64, 28, 28, 1), np.float32), np.repeat([0, 1], 32)
quick = {"epochs": 2, "batch_size": 16}
found = [
    A3(Autoencoder("conv", (4, 2, 2), **quick), alarm_dims=(8, 4), **quick).fit(x, y)
    for _ in range(2)
]
found = [detector.decision_function(x) for detector in found]
np.testing.assert_array_equal(*found)
assert found[0].std() > 0
"""


@pytest.mark.slow
def test_same_seed_same_bits_as_people_start_it():
    """With all threads and the kernels that these tests do without (see conftest.py)."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "TF_"))}
    subprocess.run([sys.executable, "-c", USERS], env=kept, cwd=ROOT, check=True)
