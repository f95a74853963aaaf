"""Baselines by themselves: what the papers' formulas give on small numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from baselines import DAGMM, DevNet
from baselines.dagmm import energy, features, mixture_of, sums
from baselines.devnet import deviation_loss
from libs.detectors.detector import Detector
from libs.training.optimisers import rmsprop
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed


# --- DAGMM ---------------------------------------------------------------------------------------
def _shares(rng, n, k):
    shares = rng.random((n, k))
    return shares / shares.sum(axis=1, keepdims=True)


def test_energy_is_the_mixtures_log_likelihood():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 3, (50, 5))
    weights, means = np.array([0.2, 0.5, 0.3]), rng.normal(0, 1, (3, 5))
    roots = rng.normal(0, 1, (3, 5, 5))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(5)
    parts = [
        np.log(w) + multivariate_normal(m, c).logpdf(z)
        for w, m, c in zip(weights, means, covariances, strict=True)
    ]
    found = energy(z, *map(tf.constant, (weights, means, covariances)))
    assert found.shape == (50,)
    np.testing.assert_allclose(found, -logsumexp(parts, axis=0), rtol=1e-9)


def test_mixture_is_the_weighted_mean_and_covariance():
    """Equation 5, whether the sums are made at once or in parts."""
    rng = np.random.default_rng(0)
    z, shares = rng.normal(2, 3, (60, 4)), _shares(rng, 60, 3)
    parts = zip(sums(z[:20], shares[:20]), sums(z[20:], shares[20:]), strict=True)
    for total in (sums(z, shares), [a + b for a, b in parts]):
        (weights, means, covariances), jitter = mixture_of(total)
        np.testing.assert_allclose(weights, shares.mean(axis=0), rtol=1e-12)
        for k in range(3):
            np.testing.assert_allclose(means[k], np.average(z, axis=0, weights=shares[:, k]))
            expected = np.cov(z.T, aweights=shares[:, k], ddof=0) + 1e-6 * np.eye(4)
            np.testing.assert_allclose(covariances[k], expected, rtol=1e-9)
        assert float(jitter) == 1e-6


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1e-6), (1e6, 1e-2), (1e9, 1e4)])
def test_nearly_singular_covariance(scale, expected):
    """Equal columns: the jitter is the first of its steps that suffices, gradients are finite."""
    rng = np.random.default_rng(0)
    z = tf.constant(scale * np.repeat(rng.normal(0, 1, (40, 1)), 4, axis=1))
    shares = tf.constant(_shares(rng, 40, 2))
    with tf.GradientTape() as tape:
        tape.watch((z, shares))
        mixture, jitter = mixture_of(sums(z, shares))
        loss = tf.reduce_mean(energy(z, *mixture))
    assert float(jitter) == expected
    assert np.isfinite(loss)
    for gradient in tape.gradient(loss, (z, shares)):
        assert np.isfinite(gradient).all()


def test_a_component_without_rows_breaks_nothing():
    rng = np.random.default_rng(0)
    z, shares = tf.constant(rng.normal(0, 1, (30, 3))), tf.constant(np.tile([1.0, 0.0], (30, 1)))
    with tf.GradientTape() as tape:
        tape.watch((z, shares))
        loss = tf.reduce_mean(energy(z, *mixture_of(sums(z, shares))[0]))
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, (z, shares)))


def test_features_by_hand():
    x = tf.constant([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    restored = tf.constant([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    code = tf.constant([[7.0], [8.0], [9.0]])
    with tf.GradientTape() as tape:
        tape.watch(restored)
        z = features(x, restored, code)
    expected = [[7, 1e-6 / 5, 0], [8, np.sqrt(5), 0.5], [9, 1, 0.5]]
    np.testing.assert_allclose(z, expected, atol=1e-6)
    assert np.isfinite(tape.gradient(z, restored)).all()


@pytest.mark.slow
def test_mixture_is_of_all_normal_rows(train_rows):
    """After training, dropout off, and saved; a known anomaly has no part in it."""
    x, y = train_rows
    dagmm = make("DAGMM", epochs=2).fit(x, y)
    flat = (x[y == 0] - x[y == 0].mean(axis=0)) / x[y == 0].std(axis=0)
    code = dagmm.encoder_(flat)
    z = features(flat, dagmm.decoder_(code), code)
    shares = tf.nn.softmax(tf.cast(dagmm.estimation_(z), tf.float64))
    for found, expected in zip(dagmm.mixture_, mixture_of(sums(z, shares))[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    scores = energy(z, *dagmm.mixture_)
    np.testing.assert_allclose(dagmm.decision_function(x[y == 0]), scores, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_first_loss_by_hand(train_rows):
    """Reconstruction, energy and penalty of the first batch, before any update."""
    x = train_rows[0][:64]
    settings = {"batch_size": 64, "dropout": 0.0}
    start = make("DAGMM", epochs=0).set_params(**settings).fit(x)
    flat, restored, z = (np.asarray(v) for v in start._compress(x, training=False))
    _, _, covariances = start.mixture_
    expected = np.square(flat - restored).sum(axis=1).mean()
    expected += 0.1 * np.mean(energy(z, *start.mixture_))
    expected += 1e-4 * sum((1 / np.diag(c)).sum() for c in covariances)
    found = make("DAGMM", epochs=1).set_params(**settings).fit(x).training_.losses[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_jitter_is_reported_and_kept(train_rows, caplog, tmp_path):
    dagmm = make("DAGMM", epochs=1).fit(*train_rows)
    assert dagmm.jitter_ == 1e-6
    assert not caplog.records
    kernel = dagmm.encoder_.trainable_variables[-2]
    kernel.assign(np.tile(1e7 * kernel.numpy()[:, :1], (1, kernel.shape[1])))
    dagmm._fit_mixture(train_rows[0], dagmm.jitter_)
    assert dagmm.jitter_ > 1e-6
    assert f"{dagmm.jitter_:.0e}" in caplog.text
    dagmm.save(tmp_path / "model")
    assert Detector.load(tmp_path / "model").jitter_ == dagmm.jitter_


@pytest.mark.slow
def test_a_diverging_training_is_an_error(train_rows):
    with pytest.raises(ArithmeticError, match="DAGMM: the loss is nan"):
        make("DAGMM").set_params(learning_rate=1e30).fit(*train_rows)


@pytest.mark.slow
def test_inputs_are_standardised_inside(train_rows, test_rows):
    """Units do not matter; a constant column, whose deviation is 0, does no harm."""
    units = 10.0 ** np.linspace(-3, 3, 20).astype(np.float32)
    plain = make("DAGMM", epochs=2).fit(*train_rows).decision_function(test_rows[0])
    other = make("DAGMM", epochs=2).fit(train_rows[0] * units, train_rows[1])
    np.testing.assert_allclose(other.decision_function(test_rows[0] * units), plain, rtol=1e-2)
    x = train_rows[0].copy()
    x[:, 3] = 0.7
    scores = make("DAGMM", epochs=2).fit(x, train_rows[1]).decision_function(test_rows[0])
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("n", "used"), [(10, 10), (64, 64), (100, 64), (130, 128)])
def test_only_whole_batches(n, used):
    """Of random rows, others in each epoch, unless all rows are less than one batch."""
    order = DAGMM(batch_size=64)._whole_batches(n)
    assert len(set(order(0))) == len(order(0)) == used
    assert not np.array_equal(order(0), order(1))
    np.testing.assert_array_equal(order(1), order(1))


# --- DevNet --------------------------------------------------------------------------------------
def test_deviation_loss_by_hand():
    score, label = tf.constant([3.0, -2.0, 3.0, -2.0, 99.0]), tf.constant([0.0, 0.0, 1.0, 1.0, 1.0])
    loss = deviation_loss(score, label, mean=1.0, std=2.0)
    assert loss.shape == score.shape == label.shape
    np.testing.assert_allclose(loss, [1.0, 1.5, 4.0, 6.5, 0.0])
    flipped = deviation_loss(score, 1.0 - label, mean=1.0, std=2.0)
    assert abs(float(tf.reduce_mean(loss) - tf.reduce_mean(flipped))) > 1
    for a, b in ((score[:, None], label), (score, label[:, None])):
        with pytest.raises(ValueError, match=r"\(n,\)"):
            deviation_loss(a, b, mean=1.0, std=2.0)


def test_the_first_devnet_loss_by_hand(train_rows):
    """Deviation of the first batch and L2 penalty, before any update."""
    x, y = train_rows
    start = make("DevNet", epochs=0).set_params(batches=1).fit(x, y)
    rows = start._half_and_half(np.flatnonzero(y == 0), np.flatnonzero(y))(0)
    seed = derive_seed(start.random_state, "DevNet", "reference")
    reference = np.random.default_rng(seed).standard_normal(5000)
    deviation = (start.decision_function(x[rows]) - reference.mean()) / reference.std()
    loss = np.where(y[rows], np.maximum(0, 5 - deviation), np.abs(deviation)).mean()
    loss += 0.01 * np.square(start.model_.get_weights()[0]).sum()
    found = make("DevNet", epochs=1).set_params(batches=1).fit(x, y).training_.losses
    np.testing.assert_allclose(found, [loss], rtol=1e-5)


def test_each_batch_is_half_known_anomalies():
    normal, known = np.arange(100), np.arange(100, 130)
    devnet = DevNet(batch_size=64, batches=7)
    order = devnet._half_and_half(normal, known)
    batches = order(0).reshape(7, 64)
    assert ((batches >= 100).sum(axis=1) == 32).all()
    assert set(batches[batches >= 100]) == set(known)
    assert not np.array_equal(order(0), order(1))
    few = devnet._half_and_half(normal, known[:2])(0).reshape(7, 64)
    assert set(few[few >= 100]) == {100, 101}
    np.testing.assert_array_equal(few[few < 100], batches[batches < 100])


def test_devnet_finds_the_known_kind(train_rows, test_rows):
    devnet = make("DevNet").fit(*train_rows)
    scores = devnet.decision_function(test_rows[0])
    assert scores.dtype == np.float32
    assert scores.shape == (len(test_rows[0]),)
    assert roc_auc_score(test_rows[1], scores) > 0.99
    assert devnet.training_.updates == 20 * devnet.epochs
    assert devnet.training_.losses[-1] < devnet.training_.losses[0] / 2


@pytest.mark.slow
def test_devnet_budgets_alone_and_together_agree(train_rows, test_rows):
    together = make("DevNet").set_params(budgets=(2, 20, 60)).fit(*train_rows)
    assert together.budgets_ == (2, 20, 60)
    matrix = together.decision_matrix(test_rows[0])
    assert matrix.shape == (len(test_rows[0]), 3)
    for i, budget in enumerate((2, 20, 60)):
        alone = make("DevNet").set_params(budgets=(budget,)).fit(*train_rows)
        np.testing.assert_allclose(
            alone.decision_function(test_rows[0]), matrix[:, i], rtol=1e-5, atol=1e-5
        )
    assert not np.allclose(matrix[:, 0], matrix[:, 2], atol=1e-2)


@pytest.mark.slow
def test_a_devnet_budget_reads_its_own_rows_only(train_rows, test_rows):
    x, y = train_rows[0].copy(), train_rows[1]
    small = make("DevNet").set_params(budgets=(5,))
    scores = small.fit(x, y).decision_function(test_rows[0])
    x[np.flatnonzero(y)[5:]] = 0.9
    np.testing.assert_array_equal(scores, small.fit(x, y).decision_function(test_rows[0]))
    x[np.flatnonzero(y)[4]] = 0.9
    assert not np.array_equal(scores, small.fit(x, y).decision_function(test_rows[0]))


def test_devnet_needs_a_known_anomaly(train_rows):
    x, y = train_rows
    for budgets, labels in (((0, 5), y), ((0,), y), (None, np.zeros_like(y))):
        with pytest.raises(UserError, match=r"from 1 to the \d+ known"):
            make("DevNet").set_params(budgets=budgets).fit(x, labels)
    for budgets in ((61,), (), (-1,)):
        with pytest.raises(UserError, match="from 1 to the 60 known anomalies"):
            make("DevNet").set_params(budgets=budgets).fit(x, y)


def test_rmsprop_is_keras_with_clipnorm():
    """Each gradient by itself is scaled down to norm 1: one above, one below."""
    start = [np.array([1.0, -2.0], np.float32), np.array([0.3], np.float32)]
    ours, theirs = ([keras.Variable(v) for v in start] for _ in range(2))
    optimiser = rmsprop(ours, 0.01, clip_norm=1.0)
    reference = keras.optimizers.RMSprop(0.01, clipnorm=1.0)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = 10 * tf.reduce_sum(ours[0].value ** 2) + 0.1 * tf.reduce_sum(ours[1].value ** 2)
        optimiser.minimise(loss, tape)
        reference.apply([20 * theirs[0].value, 0.2 * theirs[1].value], theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)
