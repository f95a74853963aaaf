"""Clusterings: what they find, and their losses by hand; which rows they see: test_contract."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import make

from libs.architecture.adversarial import clustering_autoencoder, critic
from libs.detectors.detector import Detector
from libs.targets.clustering import AdversarialClustering
from libs.training.optimisers import Adam
from libs.utils.errors import UserError


@pytest.mark.slow
def test_affinity_is_of_each_row_by_itself(train_rows, test_rows, tmp_path):
    clustering = make("AdversarialClustering", epochs=2).fit(*train_rows)
    affinity = clustering.affinity(test_rows[0])
    assert affinity.shape == (len(test_rows[0]), 3)
    assert affinity.dtype == np.float32
    np.testing.assert_allclose(clustering.affinity(test_rows[0][:5]), affinity[:5], atol=1e-4)
    clustering.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.affinity(test_rows[0]), affinity)


def test_adversarial_networks():
    """Widths of ARGUE's authors' code: dims[-1] gives way to a code of 2; images end at 4 x 4."""
    encoder, decoder = clustering_autoencoder("dense", (54,), (90, 60, 15), 2, 5)
    assert encoder.output_shape == [(None, 2), (None, 5)]
    assert decoder.input_shape == (None, 7)
    assert decoder.output_shape == (None, 54)
    encoder, decoder = clustering_autoencoder("conv", (28, 28, 1), (16, 8, 8), 2, 3)
    assert encoder.output_shape == [(None, 2), (None, 3)]
    assert decoder.output_shape == (None, 28, 28, 1)
    trunk = [layer.output.shape[1:] for layer in encoder.layers if "leaky" in layer.name]
    assert trunk == [(14, 14, 16), (7, 7, 32), (4, 4, 64)]
    assert [w.shape[1] for w in critic(2).get_weights()[::2]] == [40, 30, 20, 10, 5, 1]
    with pytest.raises(UserError, match="28, 28"):
        AdversarialClustering("conv", epochs=1).fit(np.zeros((4, 8, 8, 1), np.float32))


@pytest.mark.slow
def test_an_adversarial_step_by_hand(train_rows):
    """Reconstruction's loss, the critics' direction, and that all four Adams move something."""
    x = train_rows[0][:64]
    clustering = make("AdversarialClustering", epochs=0).fit(x)
    critics = [critic(2), critic(3)]
    codes = np.concatenate(clustering.encoder_(x, training=True), axis=1)
    restored = 1 / (1 + np.exp(-np.asarray(clustering.decoder_(codes))))
    expected = -(x * np.log(restored) + (1 - x) * np.log(1 - restored)).mean()
    clustering.fit(x)  # batch statistics as at the start
    step = clustering._step(critics)
    before = [v.numpy() for c in critics for v in c.trainable_variables]
    found = float(step(tf.constant([1, 2]), tf.constant(x)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    after = [v.numpy() for c in critics for v in c.trainable_variables]
    kernels = [i for i, v in enumerate(before) if v.ndim == 2]
    assert all(not np.array_equal(before[i], after[i]) for i in kernels)


@pytest.mark.slow
def test_critics_learn_to_tell_codes_from_the_prior(train_rows):
    """With the encoder at rest: higher for draws from the prior than for codes of rows."""
    clustering = make("AdversarialClustering").fit(train_rows[0])
    x = tf.constant(train_rows[0])
    codes, shares = clustering._real_codes(tf.constant(4000), tf.constant([1, 2]))
    assert abs(float(tf.reduce_mean(codes))) < 0.05
    assert abs(float(tf.math.reduce_std(codes)) - 1) < 0.05
    np.testing.assert_allclose(np.asarray(shares).mean(axis=0), 1 / 3, atol=0.03)
    assert set(np.unique(shares)) == {0, 1}
    np.testing.assert_allclose(np.asarray(clustering.encoder_(x)[1]).sum(axis=1), 1, atol=1e-5)


def test_gradients_are_clipped_together():
    """All gradients share one norm; Adam's first step has the size of the learning rate anyway."""
    import keras

    variables = [keras.Variable([3.0]), keras.Variable([4.0])]
    optimiser = Adam(variables, 0.1, clip_norm=0.01)
    with tf.GradientTape() as tape:
        loss = 0.5 * tf.add_n([tf.reduce_sum(v.value**2) for v in variables])
    optimiser.minimise(loss, tape)
    moments = [float(m[0]) for m in optimiser.first]
    np.testing.assert_allclose(moments, [0.1 * 0.006, 0.1 * 0.008], rtol=1e-4)


def test_an_unknown_network_is_refused():
    with pytest.raises(UserError, match="dense, conv"):
        AdversarialClustering("round", epochs=1).fit(np.zeros((4, 8), np.float32))
