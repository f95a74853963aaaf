"""Gradients of single rows: equal to the tape's, in the paper's order and sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from baselines.gradcon import cosine
from libs.architecture.gradients import (
    RawGradients,
    SketchedGradients,
    cross_entropy,
    layer_gradients,
    squared_error,
)
from libs.architecture.target import (
    HiddenActivations,
    dropout_conv_autoencoder,
    dropout_dense_autoencoder,
)
from libs.utils.errors import UserError

TARGETS = {
    "dense": ((9,), lambda: dropout_dense_autoencoder((9,), (7, 5, 3))),
    "image": ((4, 3), lambda: dropout_dense_autoencoder((4, 3), (7, 5))),
    "conv": ((28, 28, 1), lambda: dropout_conv_autoencoder((28, 28, 1))),
}


def _rows(shape, n=5, seed=0):
    rows = np.random.default_rng(seed).normal(0.5, 0.5, (n, *shape))
    return tf.constant(rows, tf.float32)


def _logits(model, x):
    for layer in model.layers[:-1]:
        x = layer(x)
    return x


def _tape(model, row, loss):
    """Gradients of one row's loss with respect to each weight, in the order of the weights."""
    with tf.GradientTape() as tape:
        value = loss(row, _logits(model, row))[0]
    return [np.asarray(g) for g in tape.gradient(value, model.trainable_variables)]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
@pytest.mark.slow
def test_equal_to_the_tapes_row_by_row(name, loss):
    shape, build = TARGETS[name]
    keras.utils.set_random_seed(1)
    model, x = build(), _rows(shape)
    found = tf.function(lambda x: [g.flat() for g in layer_gradients(model, x, loss)])(x)
    for i in range(len(x)):
        expected = _tape(model, x[i : i + 1], loss)
        weights = zip(expected[::2], expected[1::2], strict=True)
        for layer, (kernel, bias) in zip(found, weights, strict=True):
            both = np.concatenate([kernel.reshape(-1), bias])
            assert np.abs(both).max() > 1e-5
            np.testing.assert_allclose(layer[i], both, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("strides", "kernel"), [(1, 3), (2, 3), (2, (2, 4))])
@pytest.mark.slow
def test_convolutions_of_any_shape(padding, strides, kernel):
    keras.utils.set_random_seed(1)
    stack = [
        keras.Input((9, 8, 2)),
        layers.Conv2D(3, kernel, strides, padding),
        layers.Conv2DTranspose(2, kernel, strides, padding),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(144),
        layers.Reshape((9, 8, 2)),
        layers.Activation("sigmoid"),
    ]
    model, x = keras.Sequential(stack), _rows((9, 8, 2), 3)
    found = np.asarray(RawGradients([model])(x))[:, 0]
    for i in range(3):
        expected = _tape(model, x[i : i + 1], cross_entropy)
        expected = np.concatenate([g.reshape(-1) for g in expected])
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("features", "dims", "weights"),
    [
        (54, (40, 20, 10), 6504),
        (29, (20, 10, 5), 1754),
        (6, (5, 3, 2), 126),
        (122, (40, 20, 10), 12012),
        (80, (60, 40, 20), 16300),
        (79, (60, 30, 15), 14254),
    ],
    ids=["CovType", "CreditCard", "Mammography", "NSL-KDD", "IDS", "Darknet"],
)
@pytest.mark.slow
def test_sizes_of_the_paper(features, dims, weights):
    model = dropout_dense_autoencoder((features,), dims)
    gradients = RawGradients([model, model, model])
    assert gradients.width == weights
    assert gradients(_rows((features,), 2)).shape == (2, 3, weights)


def test_size_for_images():
    model = dropout_conv_autoencoder((28, 28, 1))
    assert RawGradients([model])(_rows((28, 28, 1), 2)).shape == (2, 1, 9657)
    assert model.output_shape == (None, 28, 28, 1)


def test_activations_of_the_papers_a3():
    """A3 reads 130 activations of the autoencoder for CovType."""
    assert HiddenActivations(dropout_dense_autoencoder((54,), (40, 20, 10))).width == 130


@pytest.mark.parametrize("build", [TARGETS["dense"][1], TARGETS["conv"][1]])
def test_dropout_follows_hidden_layers(build):
    """Dense: not the code's; convolutional: the code's too. Never the output."""
    kinds = [type(la).__name__ for la in build().layers if la.name[:2] in ("dr", "sp", "co")]
    dense = ["Dropout", "Dropout", "Dense", "Dropout", "Dropout"]
    conv = ["SpatialDropout2D", "SpatialDropout2D", "Dense", "Dropout", "Dropout"]
    assert kinds in (dense, [*conv, "SpatialDropout2D", "SpatialDropout2D"])


def test_saturated_outputs_keep_their_gradient():
    """A wrong output of logit 40 has gradient 1/D; from probabilities it would be 0."""
    model = dropout_dense_autoencoder((4,), (3, 2))
    model.layers[-3].set_weights([np.zeros((3, 4)), np.array([40.0, -40.0, 0.0, 0.0])])
    x = tf.constant([[0.0, 1.0, 0.5, 0.5]])
    bias = np.asarray(layer_gradients(model, x)[-1].bias)
    np.testing.assert_allclose(bias, [[0.25, -0.25, 0.0, 0.0]], atol=1e-6)


def test_each_row_by_itself():
    """Neither the other rows nor dropout have a part in a row's gradient."""
    model, x = dropout_dense_autoencoder((9,), (7, 3)), _rows((9,), 40)
    gradients = tf.function(RawGradients([model]))
    together = np.asarray(gradients(x))
    np.testing.assert_array_equal(together, gradients(x))
    np.testing.assert_allclose(together[7:8], gradients(x[7:8]), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.slow
def test_sketches_estimate_products(name):
    """Unbiased over seeds: the mean of many sketches' products nears the exact product."""
    shape, build = TARGETS[name]
    keras.utils.set_random_seed(1)
    model, x = build(), _rows(shape, 3)
    exact = np.asarray(RawGradients([model])(x), np.float64)[:, 0]
    exact = exact @ exact.T
    products = []
    for seed in range(60):
        sketch = np.asarray(SketchedGradients([model], 32, seed)(x), np.float64)
        products.append(sketch @ sketch.T)
    mean, error = np.mean(products, axis=0), np.std(products, axis=0) / np.sqrt(60)
    assert (np.abs(mean - exact) < 4 * error + 1e-9).all()
    assert (error < 0.25 * np.diag(exact).max()).all()
    assert (np.diag(exact) > 10 * np.diag(error)).all()


def test_sketches_follow_their_seed():
    model, x = dropout_dense_autoencoder((9,), (7, 3)), _rows((9,))
    first = SketchedGradients([model, model], 8, 1)
    assert first.width == 2 * 4 * 8
    np.testing.assert_array_equal(first(x), SketchedGradients([model, model], 8, 1)(x))
    assert not np.allclose(first(x), SketchedGradients([model, model], 8, 2)(x))


@pytest.mark.parametrize(
    ("wrong", "output"),
    [
        (layers.Dense(3, activation="relu"), "sigmoid"),
        (layers.Dense(3, use_bias=False), "sigmoid"),
        (layers.BatchNormalization(), "sigmoid"),
        (layers.Dense(3), "linear"),
    ],
)
def test_other_targets_are_refused(wrong, output):
    """A gradient that would be wrong or incomplete is an error that names the layer."""
    stack = [keras.Input((4,)), wrong, layers.Dense(4, name="last"), layers.Activation(output)]
    with pytest.raises(UserError, match=wrong.name if output == "sigmoid" else "Activation"):
        layer_gradients(keras.Sequential(stack), _rows((4,)))


def test_cosine_is_one_number_for_each_vector():
    """Not a sign for each entry (a cosine over an axis of length 1), and it has a gradient."""
    rng = np.random.default_rng(0)
    vectors, direction = rng.normal(size=(6, 50)), rng.normal(size=50)
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(direction)
    v, d = tf.constant(vectors, tf.float32), tf.constant(direction, tf.float32)
    np.testing.assert_allclose(cosine(v, d), vectors @ direction / norms, rtol=1e-5)
    for at in (v, tf.zeros_like(v)):
        with tf.GradientTape() as tape:
            tape.watch(at)
            value = cosine(at, d)
        gradient = np.asarray(tape.gradient(value, at))
        assert np.isfinite(gradient).all()
        assert (np.abs(gradient).max() > 1e-3) == bool(np.any(at))
    np.testing.assert_array_equal(cosine(v, tf.zeros_like(d)), np.zeros(6))
