"""Baselines of ARGUE's paper: their formulas on small numbers, and the mistakes they avoid."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import make

from baselines import DAGMM, REPEN, FAnoGAN, GANomaly, MExCVAE
from baselines.mex_cvae import _expert_loss
from baselines.repen import lesinn
from libs.training.optimisers import Adam, adadelta
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((8, 28, 28, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(images):
    """A detector of a class, after one epoch of small images."""

    @cache
    def train(kind):
        small = {"dims": (8, 8, 8)} if kind is GANomaly else {}
        return kind("conv", epochs=1, batch_size=4, random_state=1, **small).fit(images)

    return train


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FAnoGAN, GANomaly, MExCVAE])
def test_images_train_and_score(kind, images, trained):
    """One epoch of small images; a wrong size or network is a clear error."""
    detector = trained(kind)
    scores = detector.decision_function(images)
    assert scores.shape == (8,)
    assert np.isfinite(scores).all()
    assert scores.std() > 0
    with pytest.raises(UserError, match="dense, conv"):
        kind("round", epochs=1).fit(images)
    if kind is not GANomaly:
        with pytest.raises(UserError, match="28, 28"):
            kind("conv", epochs=1).fit(images[:, :8, :8])


# --- f-AnoGAN ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_fanogan_shapes(images):
    fanogan = FAnoGAN("conv", epochs=0).fit(images)
    assert fanogan.generator_.output_shape == (None, 28, 28, 1)
    assert fanogan.critic_.output_shape == [(None, 8), (None, 1)]
    assert fanogan.encoder_.output_shape == (None, 8)
    norms = [type(layer).__name__ for layer in fanogan.critic_.layers]
    assert "BatchNormalization" not in norms


@pytest.mark.slow
def test_fanogan_score_by_hand(train_rows):
    """Mean squared error of the row and of its features, κ = 1."""
    x, y = train_rows
    fanogan = make("FAnoGAN", epochs=1).fit(x, y)
    restored = tf.sigmoid(fanogan.generator_(fanogan.encoder_(x, training=False), training=False))
    features = [np.asarray(fanogan.critic_(rows)[0]) for rows in (x, restored)]
    expected = np.square(x - np.asarray(restored)).mean(axis=1)
    expected += np.square(features[0] - features[1]).mean(axis=1)
    np.testing.assert_allclose(fanogan.decision_function(x), expected, rtol=1e-4)


def test_fanogans_penalty_by_hand():
    """(‖∇D‖ - 1)², for a critic whose gradient is known."""
    fanogan = FAnoGAN()
    rows = keras.Input((3,))
    fanogan.critic_ = keras.Model(rows, [rows, keras.layers.Dense(1)(rows)])
    fanogan.critic_.set_weights([np.array([[2.0], [3.0], [6.0]]), np.zeros(1)])
    np.testing.assert_allclose(fanogan._penalty(tf.random.normal((5, 3))), 36.0, rtol=1e-5)


@pytest.mark.slow
def test_fanogan_trains_twice(train_rows):
    """The generator's and the critic's training does not touch the encoder, nor its theirs."""
    training = make("FAnoGAN", epochs=2).fit(*train_rows).training_
    assert training.updates == 2 * 2 * int(np.ceil(400 / 32))
    assert training.losses[-1] < training.losses[0]


# --- GANomaly ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_ganomalys_first_loss_by_hand(train_rows):
    """1 / 50 / 1 on features, mean absolute error and codes; inputs in [0, 1], sigmoid output."""
    x = train_rows[0][:64]
    settings = {"dropout": 0.0, "batch_size": 64}
    start = make("GANomaly", epochs=0).set_params(**settings).fit(x)
    code = np.asarray(start.encoder_(x))
    restored = 1 / (1 + np.exp(-np.asarray(start.decoder_(code))))
    assert (restored > 0).all()
    assert (restored < 1).all()
    second = np.asarray(start.second_encoder_(restored))
    real, fake = (np.asarray(start.discriminator_(rows)[0]) for rows in (x, restored))
    expected = np.square(real - fake).mean() + 50 * np.abs(x - restored).mean()
    expected += np.square(code - second).mean()
    found = make("GANomaly", epochs=1).set_params(**settings).fit(x).training_.losses
    np.testing.assert_allclose(found, [expected], rtol=1e-4)
    scores = np.square(code - second).mean(axis=1)
    np.testing.assert_allclose(start.decision_function(x), scores, rtol=1e-4)


@pytest.mark.slow
def test_ganomaly_obeys_the_budget_of_the_script(train_rows):
    """Weak point 12: epochs and batch size are those that were asked for."""
    training = make("GANomaly", epochs=3).set_params(batch_size=50).fit(*train_rows).training_
    assert (training.epochs, training.updates) == (3, 3 * 8)


# --- MEx-CVAE ------------------------------------------------------------------------------------
def test_an_experts_loss_by_hand():
    """Weak point 12: the divergence is that of N(μ, σ²) from N(.5, 1), of this expert's code."""
    rng = np.random.default_rng(0)
    rows, restored = rng.random((2, 4, 6)).astype(np.float32)
    hidden, restored_hidden = rng.random((2, 4, 5)).astype(np.float32)
    mean, log_variance, again = rng.normal(size=(3, 4, 2)).astype(np.float32)
    found = _expert_loss(rows, hidden, mean, log_variance, restored_hidden, restored, again)
    draws = mean + np.exp(log_variance / 2) * rng.normal(size=(200_000, 4, 2))
    own = -0.5 * (np.square(draws - mean) / np.exp(log_variance) + log_variance)
    divergence = (own + 0.5 * np.square(draws - 0.5)).mean(axis=(0, 2))
    expected = 0.7 * (
        0.5 * np.square(rows - restored).mean(axis=1)
        + 0.3 * np.square(hidden - restored_hidden).mean(axis=1)
        + 0.2 * divergence
    )
    expected += 0.3 * np.square(mean - again).mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=3e-3)


@pytest.mark.slow
def test_mex_trains_in_training_mode(images, trained):
    """Weak point 12: batch statistics move."""
    networks = [m.expert_1_ for m in (MExCVAE("conv", epochs=0).fit(images), trained(MExCVAE))]
    statistics = [[w.numpy() for w in n.non_trainable_variables] for n in networks]
    moved = [not np.array_equal(a, b) for a, b in zip(*statistics, strict=True) if a.ndim]
    assert sum(moved) > len(moved) / 2


@pytest.mark.slow
def test_mex_score_by_hand(train_rows):
    x, y = train_rows
    mex = make("MExCVAE", epochs=1).fit(x, y)
    zeros = np.zeros((len(x), 4), np.float32)
    outputs = [
        [np.asarray(v) for v in e([x, zeros], training=False)]
        for e in (mex.expert_1_, mex.expert_2_)
    ]
    share = 1 / (1 + np.exp(-np.asarray(mex.gate_(x, training=False)[1])))
    codes = [outputs[0][1], outputs[1][1]], [outputs[0][5], outputs[1][5]]
    mixed = [
        share[:, 2 * k, None] * first + share[:, 2 * k + 1, None] * second
        for k, (first, second) in enumerate(codes)
    ]
    expected = sum(0.1 * np.square(np.asarray(t))[:, 0] for t in mex.towers_(mixed))
    for hidden, _, _, restored_hidden, restored, _ in outputs:
        expected += 0.24 * np.square(x - restored).mean(axis=1)
        expected += 0.16 * np.square(hidden - restored_hidden).mean(axis=1)
    np.testing.assert_allclose(mex.decision_function(x), expected, rtol=1e-4)
    assert hidden.shape == restored_hidden.shape == (len(x), 8)


# --- REPEN ---------------------------------------------------------------------------------------
def test_lesinn_by_hand():
    rng = np.random.default_rng(0)
    x, references = rng.normal(size=(7, 3)), rng.normal(size=(400, 3))
    distances = np.linalg.norm(x[:, None] - references[None], axis=2).reshape(7, 50, 8)
    np.testing.assert_allclose(lesinn(x, references), distances.min(axis=2).mean(axis=1))


def test_triplets():
    """Anchors and inliers below the cut-off, outliers above it; the farther, the more often."""
    scores = np.concatenate([np.linspace(1, 2, 97), [5.0, 6.0, 9.0]])
    repen = REPEN(batches=50, batch_size=40)
    order = repen._triplets(scores)
    triplets = order(0).reshape(50, 3, 40)
    assert triplets[:, :2].max() < 97
    assert set(np.unique(triplets[:, 2])) == {97, 98, 99}
    assert (triplets[:, 2] == 99).sum() > (triplets[:, 2] == 97).sum()
    assert (triplets[:, 0] < 20).sum() > 0.2 * 2000
    assert not np.array_equal(order(0), order(1))
    np.testing.assert_array_equal(order(1), repen._triplets(scores)(1))
    assert len(repen._triplets(np.ones(10))(0)) == 50 * 120


def test_repens_first_loss_by_hand(train_rows):
    """Hinge of 1000 on squared distances, over the triplets of the first batch."""
    x, y = train_rows
    start = make("REPEN", epochs=0).set_params(batches=1).fit(x, y)
    normal = x[y == 0]
    scores = np.asarray(lesinn(normal, start.references_))
    embedded = np.asarray(start.model_(normal))[start._triplets(scores)(0).reshape(3, 64)]
    near, far = (np.square(embedded[0] - embedded[k]).sum(axis=1) for k in (1, 2))
    expected = np.maximum(0, 1000 + near - far).mean()
    found = make("REPEN", epochs=1).set_params(batches=1).fit(x, y).training_.losses
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_repen_reads_training_rows_only(train_rows):
    """Weak point 6: its sub-samples are normal training rows."""
    x, y = train_rows
    repen = make("REPEN", epochs=1).fit(x, y)
    assert repen.references_.shape == (400, 20)
    rows = {row.tobytes() for row in x[y == 0]}
    assert all(row.tobytes() in rows for row in repen.references_)
    assert derive_seed(3, "REPEN", "references") != derive_seed(4, "REPEN", "references")


# --- DAGMM with ARGUE's settings for tables ------------------------------------------------------
@pytest.mark.slow
def test_dagmm_with_a_code_of_one(train_rows):
    """D-12-4-1, estimation 10-2."""
    settings = {"dims": (12, 4, 1), "estimation_dims": (10,), "components": 2}
    dagmm = make("DAGMM", epochs=20).set_params(**settings).fit(*train_rows)
    assert dagmm.encoder_.output_shape == (None, 1)
    assert dagmm.mixture_[1].shape == (2, 3)
    assert isinstance(dagmm, DAGMM)
    noise = np.random.default_rng(5).normal(0.5, 1, (200, 20)).astype(np.float32)
    assert np.isfinite(dagmm.decision_function(noise)).all()


# --- optimisers ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda v: adadelta(v, 1.0), keras.optimizers.Adadelta(1.0)),
        (lambda v: Adam(v, 0.01, beta_1=0.5), keras.optimizers.Adam(0.01, beta_1=0.5)),
        (
            lambda v: Adam(v, 0.01, clip_norm=0.01),
            keras.optimizers.Adam(0.01, global_clipnorm=0.01),
        ),
    ],
)
def test_optimisers_are_keras(ours, theirs):
    start = [np.array([1.0, -2.0], np.float32), np.array([0.3], np.float32)]
    here, there = ([keras.Variable(v) for v in start] for _ in range(2))
    optimiser = ours(here)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = 10 * tf.reduce_sum(here[0].value ** 2) + 0.1 * tf.reduce_sum(here[1].value ** 2)
        optimiser.minimise(loss, tape)
        theirs.apply([20 * there[0].value, 0.2 * there[1].value], there)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["MExCVAE", "MultiHeadAutoencoder"])
def test_a_code_alone_is_no_network(name, train_rows):
    with pytest.raises(UserError, match=r"dims \(2,\): expected a hidden width"):
        make(name).set_params(dims=(2,)).fit(train_rows[0])
