"""ReLU, dropout and product in one layer, against Keras' three."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from libs.architecture.fused_layers import LEVELS, FusedDense
from libs.training.loop import compiled, gradient_step
from libs.training.optimisers import Adam, adadelta, rmsprop


def thinned(rate, units=3, copies=2, inputs=5, **kwargs):
    """A layer with random weights."""
    layer = FusedDense(units, rate, seed=1, **kwargs)
    layer.build((None, copies, inputs))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights if w.trainable])
    return layer


def rows(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("lead", [(7,), (4, 3)])
def test_without_dropout_it_is_relu_and_dense(lead):
    """Every copy, whatever comes before the copies; in training only if the rate is 0."""
    layer, x = thinned(0.2), rows(*lead, 2, 5)
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    expected = np.einsum("...ci,cio->...co", np.maximum(x, 0), kernel) + bias
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(thinned(0.0)(x, training=True), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_share_of_dropped_units_and_scale(rate):
    """Of the units above 0 this share is dropped, independently; the rest is scaled up."""
    inputs, n = 40, 2_000
    layer = FusedDense(inputs, rate, seed=3)
    layer.build((None, 1, inputs))
    layer.set_weights([np.eye(inputs)[None], np.zeros((1, inputs))])
    first, second = (np.asarray(layer(tf.ones((n, 1, inputs)), training=True)) for _ in range(2))
    assert not np.array_equal(first, second)
    both = (first > 0) & (second > 0)
    for kept, expected in ((first > 0, 1 - rate), (both, (1 - rate) ** 2)):
        assert abs(kept.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / kept.size)
    for axis in (0, 1, 2):  # no row and no unit is favoured
        means = (first > 0).mean(axis=tuple({0, 1, 2} - {axis}))
        spread = np.sqrt(rate * (1 - rate) / (first.size / len(means)))
        assert np.abs(means - (1 - rate)).max() < 5 * spread
    dropped = round(rate * LEVELS)
    np.testing.assert_allclose(np.unique(first), [0, LEVELS / (LEVELS - dropped)], rtol=1e-6)


def test_copies_drop_the_same_units_and_seeds_repeat():
    x = np.repeat(rows(50, 1, 5), 2, axis=1)
    layer = thinned(0.3)
    weights = layer.kernel.numpy(), layer.bias.numpy()
    layer.set_weights([np.repeat(w[:1], 2, axis=0) for w in weights])
    found = np.asarray(layer(x, training=True))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    again = thinned(0.3)
    again.set_weights([np.repeat(w[:1], 2, axis=0) for w in weights])
    np.testing.assert_array_equal(found, again(x, training=True))


def test_gradients_are_those_of_what_was_kept():
    """Of rows and weights: equal to Keras' own operations with the same units dropped."""
    layer, x = thinned(0.3, copies=1), tf.constant(rows(30, 1, 5))
    probe = thinned(0.3, units=5, copies=1)  # same seed, same shape of rows: same units
    probe.set_weights([np.eye(5)[None], np.zeros((1, 5))])
    scale = LEVELS / (LEVELS - round(0.3 * LEVELS))
    kept = tf.cast(probe(tf.ones_like(x), training=True) > 0, tf.float32) * scale
    upstream = tf.constant(rows(30, 1, 3))
    sources = [x, layer.kernel.value, layer.bias.value]

    def plain(x, kernel, bias):
        return tf.einsum("nci,cio->nco", tf.nn.relu(x) * kept, kernel) + bias

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        found, expected = layer(x, training=True), plain(*sources)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    pairs = [tape.gradient(y, sources, upstream) for y in (found, expected)]
    for ours, theirs in zip(*pairs, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_float32_to_its_precision(tmp_path):
    """Weights stay float32; a saved layer answers as before."""
    x = rows(20, 2, 5)
    half = thinned(0.1, dtype="mixed_bfloat16")
    assert half.kernel.dtype == "float32"
    assert half(x).dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(half(x), tf.float32), thinned(0.1)(x), rtol=0.1, atol=0.1)
    model = keras.Sequential([keras.Input((2, 5)), half])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(tf.cast(loaded(x), tf.float32), tf.cast(model(x), tf.float32))


@pytest.mark.parametrize("optimiser", [Adam, adadelta, rmsprop])
def test_the_graph_of_a_step_goes_with_it(optimiser):
    """TensorFlow keeps graphs with a custom gradient; Keras' `apply` would put one into each."""
    layer, x = thinned(0.2), rows(7, 2, 5)
    loss = lambda seed: tf.reduce_mean(layer(x, training=True))  # noqa: E731
    step = gradient_step(loss, layer.trainable_variables, 0.1, optimiser)
    graph = compiled(step, [tf.TensorSpec((2,), tf.int32)])
    graph(tf.constant([1, 2]))
    traced = weakref.ref(graph.get_concrete_function().graph)
    assert traced() is not None
    del loss, step, graph
    gc.collect()
    assert traced() is None
