"""Deep SVDD, Deep SAD and GradCon: right where the authors' code of R2-AD2 handicaps them."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import make
from keras import layers

from baselines import DeepSAD, DeepSVDD, GradCon
from baselines.deep_svdd import centre_of, squared_distance
from baselines.gradcon import cosine, decoder_kernels
from libs.architecture.bias_free import BIAS_FREE
from libs.architecture.gradients import layer_gradients, squared_error
from libs.detectors.detector import Detector
from libs.utils.errors import UserError


# --- Deep SVDD and Deep SAD ----------------------------------------------------------------------
@pytest.mark.parametrize("network", BIAS_FREE)
def test_no_layer_has_a_bias(network):
    shape, dims = ((9,), (7, 5)) if network == "dense" else ((28, 28, 1), (32,))
    for model in BIAS_FREE[network](shape, dims, 0.4):
        assert not [v.path for v in model.trainable_variables if v.path.split("/")[-1] != "kernel"]
        assert model.trainable_variables
    encoder, decoder = BIAS_FREE[network](shape, dims, 0.4)
    assert encoder.output_shape == (None, dims[-1])
    assert decoder.output_shape == (None, *shape)


def test_centre_is_far_from_zero():
    codes = np.array([[0.05, -0.05, 0.0, 0.3, -0.7], [0.05, -0.05, 0.0, 0.5, -0.5]])
    np.testing.assert_allclose(centre_of(codes), [0.1, -0.1, -0.1, 0.4, -0.6])


def test_squared_distance_of_every_budget():
    codes = tf.constant([[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_allclose(squared_distance(codes, np.array([1.0, 0.0])), [[4.0, 20.0]])


@pytest.mark.parametrize("name", ["DeepSVDD", "DeepSAD"])
@pytest.mark.slow
def test_the_centre_is_that_of_training(name, train_rows, test_rows, tmp_path):
    """The untrained encoder's, and saved: not computed again from the trained one."""
    detector = make(name).fit(*train_rows)
    x, y = train_rows
    again = detector.centre_
    codes = np.asarray(detector.encoder_(x[y == 0] - detector.mean_))
    assert np.abs(centre_of(codes) - again).max() > 1e-4
    detector.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.centre_, again)
    codes = np.asarray(loaded.encoder_(test_rows[0] - detector.mean_))
    scores = np.square(codes - again).sum(axis=1)
    np.testing.assert_allclose(loaded.decision_function(test_rows[0]), scores, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["DeepSVDD", "DeepSAD"])
def test_where_the_normal_rows_lie_does_not_matter(name, train_rows, test_rows):
    """Encoders see rows minus the mean of the normal ones (the first weights are the same)."""
    (x, y), rows = train_rows, test_rows[0]
    near, far = make(name, epochs=0).fit(x, y), make(name, epochs=0).fit(x + 8, y)
    np.testing.assert_allclose(far.mean_, x[y == 0].mean(axis=0) + 8, rtol=1e-5)
    scores = near.decision_function(rows)
    np.testing.assert_allclose(far.decision_function(rows + 8), scores, rtol=1e-3)


@pytest.mark.parametrize("name", ["DeepSVDD", "DeepSAD", "GradCon"])
@pytest.mark.slow
def test_the_learning_rate_is_obeyed(name, train_rows):
    """In every training: at a rate of 0 nothing moves, at another rate other weights come out."""
    still = make(name, epochs=1).set_params(learning_rate=0.0).fit(*train_rows)
    start = make(name, epochs=0).fit(*train_rows)
    slow, fast = (
        make(name, epochs=1).set_params(learning_rate=r).fit(*train_rows) for r in (1e-4, 1e-2)
    )

    def distance(a, b):
        pairs = zip(*(getattr(d, d.networks[0]).get_weights() for d in (a, b)), strict=True)
        return max(np.abs(v - w).max() for v, w in pairs)

    assert distance(still, start) == 0
    assert 10 * distance(slow, start) < distance(fast, start)
    if name != "GradCon":  # the centre shows the pre-training
        assert np.abs(slow.centre_ - fast.centre_).max() > 1e-3


@pytest.mark.slow
def test_without_known_anomalies_deep_sad_is_deep_svdd(train_rows, test_rows):
    settings = {"dims": (8, 4), "epochs": 2, "dropout": 0.0, "batch_size": 512}
    x = train_rows[0][train_rows[1] == 0]
    sad = DeepSAD(**settings).fit(x).decision_function(test_rows[0])
    svdd = DeepSVDD(**settings).fit(x).decision_function(test_rows[0])
    np.testing.assert_allclose(sad, svdd, rtol=1e-3)


@pytest.mark.slow
def test_budgets_of_deep_sad(train_rows, test_rows):
    """Each as trained alone, with other rows beyond it: a budget reads its own and no others."""
    x, y = train_rows[0].copy(), train_rows[1]
    known = np.flatnonzero(y)
    together = make("DeepSAD", epochs=5).set_params(budgets=(0, 5, 60)).fit(x, y)
    matrix = together.decision_matrix(test_rows[0])
    assert matrix.shape == (len(test_rows[0]), 3)
    assert not np.allclose(matrix[:, 0], matrix[:, 2], rtol=1e-2)

    def alone(budget):
        detector = make("DeepSAD", epochs=5).set_params(budgets=(budget,)).fit(x, y)
        return detector.decision_function(test_rows[0])

    for i, budget in ((2, 60), (1, 5), (0, 0)):
        x[known[budget:]] = 0.9
        np.testing.assert_allclose(alone(budget), matrix[:, i], rtol=1e-4, atol=1e-5)
    x[known[:4]] = train_rows[0][known[:4]]  # the last one within the budget is another
    assert not np.allclose(alone(5), matrix[:, 1], rtol=1e-4)


@pytest.mark.parametrize("method", [DeepSAD, DeepSVDD, GradCon])
@pytest.mark.slow
def test_images(method, tmp_path):
    x = np.random.default_rng(0).random((20, 28, 28, 1)).astype(np.float32)
    network, dims = ("dropout_conv", (8,)) if method is GradCon else ("conv", (32,))
    detector = method(network=network, dims=dims, epochs=1, batch_size=8).fit(x)
    scores = detector.decision_function(x)
    detector.save(tmp_path / "model")
    np.testing.assert_array_equal(Detector.load(tmp_path / "model").decision_function(x), scores)
    with pytest.raises(UserError, match=r"28, 28"):
        method(network=network, dims=dims, epochs=1).fit(x[:, :20])


# --- GradCon -------------------------------------------------------------------------------------
@pytest.mark.slow
def test_gradcon_scores_are_the_formula(train_rows):
    """Squared error - .12 · mean over decoder kernels of the cosine, row by row by the tape."""
    detector = make("GradCon", epochs=3).fit(*train_rows)
    x = train_rows[0][-6:]
    model = detector.model_
    kernels = decoder_kernels(model)
    assert len(kernels) == 2
    assert kernels[-1] is [la for la in model.layers if isinstance(la, layers.Dense)][-1].kernel
    for row, score in zip(x, detector.decision_function(x), strict=True):
        with tf.GradientTape() as tape:
            h = tf.constant(row[None])
            for layer in model.layers[:-1]:
                h = layer(h)
            error = squared_error(row[None], h)[0]
        found = [
            np.asarray(g).reshape(-1) for g in tape.gradient(error, [k.value for k in kernels])
        ]
        cosines = [
            g @ d / np.linalg.norm(g) / np.linalg.norm(d)
            for g, d in zip(found, detector.directions_, strict=True)
        ]
        assert score == pytest.approx(float(error) - 0.12 * np.mean(cosines), abs=1e-5)
        assert np.abs(cosines).max() > 1e-3


@pytest.mark.slow
def test_gradcons_constraint_takes_part(train_rows):
    """It changes the training, and with a great weight turns the gradients to one direction."""

    def trained(weight):
        return make("GradCon", epochs=6).set_params(loss_weight=weight).fit(*train_rows)

    def alignment(detector, x):
        gradients = layer_gradients(detector.model_, tf.constant(x), squared_error)
        last = tf.reshape(gradients[-1].kernel(), (len(x), -1))
        return float(tf.reduce_mean(cosine(last, detector.directions_[-1])))

    free, constrained = trained(0.0), trained(10.0)
    weights = [d.model_.get_weights()[-2] for d in (free, constrained)]
    assert np.abs(weights[0] - weights[1]).max() > 1e-3
    x = train_rows[0][:200]
    assert alignment(constrained, x) > alignment(free, x) + 0.05


def test_gradcons_directions_are_mean_gradients(train_rows):
    """Of the whole loss over all batches: with one step at rate 0, the gradient of that step."""
    x = train_rows[0][:32]
    settings = {
        "dims": (8, 4),
        "dropout": 0.0,
        "epochs": 3,
        "learning_rate": 0.0,
        "loss_weight": 0.0,
    }
    detector = GradCon(batch_size=16, **settings).fit(x)
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(tf.square(x - detector.model_(x)))
    kernels = [k.value for k in decoder_kernels(detector.model_)]
    for direction, gradient in zip(
        detector.directions_, tape.gradient(error, kernels), strict=True
    ):
        np.testing.assert_allclose(direction, np.reshape(gradient, -1), atol=1e-7)


def test_gradcon_needs_to_know_the_decoder(train_rows):
    with pytest.raises(UserError, match="'dense' has no layers whose names start with 'decoder'"):
        GradCon(network="dense", dims=(8, 4), epochs=1).fit(*train_rows)
    with pytest.raises(UserError, match="expected one of dense, linear_code, conv"):
        GradCon(network="deep", dims=(8, 4), epochs=1).fit(*train_rows)
