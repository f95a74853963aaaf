"""deepad's detectors: what their formulas give on small numbers, and each quirk by its name."""

import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import make, toy
from sklearn.metrics import roc_auc_score

from baselines import PCA, VAE, Autoencoder, BiGAN, MeanDistance, OneClassSVM, Seq2Seq
from libs.architecture.target import HiddenActivations, dense_autoencoder
from libs.detectors.detector import Detector
from libs.utils.errors import UserError

PLANE = np.random.default_rng(0).random((300, 2)).astype(np.float32)
PLANE = PLANE @ np.array([[0.5, 0.1, 0.4, 0.0], [0.1, 0.6, 0.0, 0.3]], np.float32)
"""Rows of four features on a plane."""


@pytest.mark.slow
def test_every_detector_by_its_readme_line(train_rows):
    """``from baselines import BiGAN; BiGAN().fit(x).decision_function(x)``, as issue 7 says."""
    x = train_rows[0][:64]
    for detector in (BiGAN(), PCA(), OneClassSVM(), MeanDistance(), VAE(epochs=1)):
        assert detector.fit(x).decision_function(x).shape == (64,)


# --- networks at deepad's settings --------------------------------------------------------------
def test_parameters_of_deepads_networks():
    """Trainable parameters as in deepad: 842, 858, 2690 + 2706 + 2817, 2741."""
    x = np.random.default_rng(0).random((8, 18)).astype(np.float32)
    settings = {"epochs": 0}
    autoencoder = Autoencoder("linear_code", (15, 7, 2), 0.0, **settings).fit(x)
    assert autoencoder.model_.count_params() == 842
    vae = VAE((15, 7), 2, 0.0, **settings).fit(x)
    assert vae.encoder_.count_params() + vae.decoder_.count_params() == 858
    bigan = BiGAN(**settings).fit(x)
    networks = (bigan.encoder_, bigan.generator_, bigan.discriminator_)
    assert [network.count_params() for network in networks] == [2690, 2706, 2817]
    seq2seq = Seq2Seq(**settings).fit(x)
    assert seq2seq.encoder_.count_params() + seq2seq.decoder_.count_params() == 2741


def test_a_linear_code_is_no_hidden_activation():
    """ReLUs of 15, 7, 7 and 15; the code can be negative."""
    target = dense_autoencoder((18,), (15, 7, 2), 0.0, linear_code=True)
    assert HiddenActivations(target).layer_widths == [15, 7, 7, 15]
    assert HiddenActivations(dense_autoencoder((18,), (15, 7, 2))).width == 15 + 7 + 2 + 7 + 15


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_the_autoencoders_first_loss_by_hand(loss, train_rows):
    x = train_rows[0][:32]
    settings = {"loss": loss, "dropout": 0.0}
    restored = make("Autoencoder", epochs=0).set_params(**settings).fit(x).model_(x).numpy()
    entropy = -(x * np.log(restored) + (1 - x) * np.log(1 - restored)).mean()
    expected = {"mse": np.square(x - restored).mean(), "binary_crossentropy": entropy}[loss]
    found = make("Autoencoder", epochs=1).set_params(**settings).fit(x).training_.losses[0]
    assert found == pytest.approx(expected, rel=1e-4)
    with pytest.raises(UserError, match="loss 'l1': expected one of binary_crossentropy, mse"):
        make("Autoencoder").set_params(loss="l1").fit(x)


# --- VAE ----------------------------------------------------------------------------------------
@pytest.mark.slow
def test_warm_up_weighs_the_divergence(train_rows):
    """With the weight at next to nothing the first loss is the error alone; without, more."""
    x = train_rows[0][:32]
    losses = {}
    for warm_up, weight in ((0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.5)):
        vae = make("VAE", epochs=1).set_params(warm_up=warm_up, divergence_weight=weight)
        vae.set_params(loss="mse", batch_size=4)
        losses[warm_up, weight] = vae.fit(x).training_.losses[0]
    assert losses[0.0, 0.0] < losses[0.0, 0.5] < losses[0.0, 1.0]
    assert losses[0.0, 0.0] < losses[1.0, 1.0] < losses[0.0, 1.0]


@pytest.mark.slow
def test_the_first_of_two_updates_has_half_the_weight(train_rows):
    """Warm-up over two updates: the loss of the first is error + ½ divergence."""
    x = train_rows[0][:32]

    def first(**settings) -> float:
        vae = make("VAE", epochs=1).set_params(dropout=0.0, batch_size=32, **settings)
        return vae.fit(x).training_.losses[0]

    half = first(divergence_weight=0.5)
    two = make("VAE", epochs=2).set_params(dropout=0.0, batch_size=32, warm_up=1.0).fit(x)
    assert two.training_.losses[0] == pytest.approx(half, rel=1e-6)
    assert first(warm_up=1.0) == pytest.approx(first(), rel=1e-6)


@pytest.mark.slow
def test_sampled_scores_are_of_the_decoder(train_rows):
    """deepad's score: random codes; each row by itself, the same in every call."""
    x = train_rows[0]
    vae = make("VAE", epochs=3).fit(x)
    mean = vae.decision_function(x)
    one = vae.set_params(draws=1).fit(x).decision_function(x)
    assert not np.allclose(one, mean)
    np.testing.assert_allclose(one[:5], vae.decision_function(x[:5]), rtol=1e-5)
    many = vae.set_params(draws=30).fit(x).decision_function(x)
    assert many.mean() > mean.mean()  # noise in the code adds to the error


# --- PCA, one-class SVM, mean ---------------------------------------------------------------------
def test_pca_restores_the_plane():
    pca = PCA(components=2).fit(PLANE)
    np.testing.assert_allclose(pca.decision_function(PLANE), 0, atol=1e-9)
    away = PLANE + np.array([0.1, -0.1, -0.1, 0.1], np.float32)
    assert (pca.decision_function(away) > 1e-4).all()
    centred = PLANE - PLANE.mean(axis=0)
    vectors = np.linalg.svd(centred, full_matrices=False)[2][:1]
    expected = np.square(centred - centred @ vectors.T @ vectors).mean(axis=1)
    found = PCA(components=1).fit(PLANE).decision_function(PLANE)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(UserError, match="components 5: expected 1 to 4"):
        PCA(components=5).fit(PLANE)


def test_pca_directions_depend_on_signs():
    """deepad's score, by hand: distances to the unit vectors; a sign changes it."""
    pca = PCA(components=2, score="directions").fit(PLANE)
    vectors = pca.pca_.components_
    expected = [sum(np.linalg.norm(row - v) for v in vectors) for row in PLANE]
    np.testing.assert_allclose(pca.decision_function(PLANE), expected, rtol=1e-5)
    flipped = PCA(components=2, score="directions", flipped=(1,)).fit(PLANE)
    vectors = vectors * [[1], [-1]]
    expected = [sum(np.linalg.norm(row - v) for v in vectors) for row in PLANE]
    np.testing.assert_allclose(flipped.decision_function(PLANE), expected, rtol=1e-5)
    with pytest.raises(UserError, match="score 'best': expected one of reconstruction, directions"):
        PCA(score="best").fit(PLANE)


def test_svm_is_scikit_learns():
    """At 0 lies the border: about ν of the training rows are outside."""
    x = toy(3, 500, 0)[0]
    scores = OneClassSVM(nu=0.1, gamma="scale").fit(x).decision_function(x)
    assert np.mean(scores > 0) == pytest.approx(0.1, abs=0.02)


def test_mean_distance_by_hand():
    x = np.array([[0.0, 0.0], [2.0, 4.0]])
    np.testing.assert_allclose(MeanDistance().fit(x).decision_function(x), [2.5, 2.5])
    np.testing.assert_allclose(MeanDistance().fit(x).decision_function(x + 1), [0.5, 6.5])


def test_a_foreign_model_is_refused(tmp_path, train_rows, monkeypatch):
    """A forest where a PCA should be: types that a PCA does not need."""
    pca, forest = (make(name).fit(*train_rows) for name in ("PCA", "IsolationForest"))
    pca.calibrate(train_rows[0])  # else it scores its training rows when it is saved
    forest.forest_, pca.pca_ = pca.pca_, forest.forest_
    pca.save(tmp_path / "pca")
    with pytest.raises(UserError, match=r"types that it does not need.*Tree"):
        Detector.load(tmp_path / "pca")


# --- BiGAN --------------------------------------------------------------------------------------
@pytest.mark.slow
def test_bigan_score_by_hand(train_rows):
    x = train_rows[0][:20]
    bigan = make("BiGAN", epochs=2).set_params(weight=0.3).fit(train_rows[0])
    code = bigan.encoder_(x)
    restored = bigan.generator_(code).numpy()
    hidden, logits = bigan.discriminator_([code, tf.constant(x)])
    distance = np.abs(x - restored).sum(axis=1)
    cross_entropy = -np.log(1 / (1 + np.exp(-logits.numpy()[:, 0])))
    expected = 0.7 * distance + 0.3 * cross_entropy
    np.testing.assert_allclose(bigan.decision_function(x), expected, rtol=1e-4)
    other = bigan.discriminator_([code, tf.constant(restored)])[0]
    difference = np.abs(hidden.numpy() - other.numpy()).sum(axis=1)
    bigan = make("BiGAN", epochs=2).set_params(weight=0.3, score="features").fit(train_rows[0])
    expected = 0.7 * distance + 0.3 * difference
    np.testing.assert_allclose(bigan.decision_function(x), expected, rtol=1e-4)


@pytest.mark.slow
def test_neither_side_of_a_bigan_wins(train_rows):
    """After training the discriminator tells rows from made ones a little, but not for sure."""
    bigan = make("BiGAN", epochs=60).fit(train_rows[0])
    assert 0.7 < bigan.training_.losses[-1] < 2.1  # 2·log 2 where nothing can be told apart
    z = tf.random.stateless_normal((len(train_rows[0]), bigan.code), (1, 2))
    real, made = bigan._logits(tf.constant(train_rows[0]), z)
    assert abs(float(tf.reduce_mean(real) - tf.reduce_mean(made))) < 3


@pytest.mark.slow
def test_untrained_bigan_is_available():
    """deepad's 15 updates of 256 random rows."""
    x = np.random.default_rng(0).random((300, 18)).astype(np.float32)
    bigan = BiGAN(epochs=15, batches=1, batch_size=256, beta_1=0.9, weight=0.0).fit(x)
    assert (bigan.training_.updates, bigan.training_.epochs) == (15, 15)
    assert BiGAN(epochs=1).fit(x).training_.updates == 3
    with pytest.raises(UserError, match="score 'mean': expected one of cross-entropy, features"):
        BiGAN(score="mean").fit(x)


# --- Seq2Seq ------------------------------------------------------------------------------------
@pytest.mark.parametrize("given_first", [False, True])
@pytest.mark.slow
def test_seq2seq_says_one_number_after_the_other(given_first):
    """All rows at once give what Keras' decoder gives step by step on each prefix."""
    x = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    seq2seq = Seq2Seq(units=3, epochs=2, batch_size=4, given_first=given_first).fit(x)
    state = seq2seq.encoder_(x[:, :, None])
    before = np.zeros((7, 5, 1), np.float32)
    said = np.zeros((7, 5, 1), np.float32)
    if given_first:
        before[:, 0, 0] = said[:, 0, 0] = x[:, 0]
    for i in range(5 - given_first):
        output = seq2seq.decoder_([tf.constant(before), *state]).numpy()[:, i]
        said[:, i + given_first] = output
        if i < 4:
            before[:, i + 1] = output
    expected = np.square(x - said[:, :, 0]).mean(axis=1)
    np.testing.assert_allclose(seq2seq.decision_function(x), expected, rtol=1e-4)


@pytest.mark.parametrize("given_first", [False, True])
@pytest.mark.slow
def test_the_first_seq2seq_loss_by_hand(given_first):
    x = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    settings = {"units": 3, "dropout": 0.0, "batch_size": 6, "given_first": given_first}
    start = Seq2Seq(epochs=0, **settings).fit(x)
    before = x if given_first else np.hstack([np.zeros((6, 1), np.float32), x[:, :-1]])
    wanted = np.roll(x, -1, axis=1) if given_first else x
    state = start.encoder_(x[:, :, None])
    said = start.decoder_([tf.constant(before[:, :, None]), *state]).numpy()[:, :, 0]
    found = Seq2Seq(epochs=1, **settings).fit(x).training_.losses[0]
    assert found == pytest.approx(np.square(wanted - said).mean(), rel=1e-4)


@pytest.mark.slow
def test_seq2seq_scores_many_rows_fast(train_rows):
    """10,000 rows of 18 features in less than five seconds (issue 7), the first call included."""
    x = np.random.default_rng(0).random((10_000, 18)).astype(np.float32)
    seq2seq = Seq2Seq(epochs=0).fit(x)
    start = time.process_time()
    seq2seq.decision_function(x)
    assert time.process_time() - start < 5 * 2  # processor time of two cores


@pytest.mark.slow
def test_seq2seq_learns_an_order(train_rows):
    """Rows that rise are told from rows that fall, whose features are as likely one by one."""
    rng = np.random.default_rng(0)
    rising = np.sort(rng.random((600, 6)), axis=1).astype(np.float32)
    shuffled = rng.permuted(rising[:200], axis=1)
    seq2seq = Seq2Seq(units=4, epochs=30, batch_size=32, dropout=0.0).fit(rising[200:])
    scores = seq2seq.decision_function(np.concatenate([rising[:200], shuffled]))
    assert roc_auc_score(np.repeat([0, 1], 200), scores) > 0.9
