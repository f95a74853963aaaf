"""Anomaly networks: they generate the counter-examples that train an alarm network.

Each has ``generate(x, seed)``, which makes as many rows as ``x`` has, new for every ``seed``, and
``depends_on_rows``: whether ``x`` decides more than their shape. A3's trained one is
`baselines.VAE`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.base import BaseEstimator


@dataclass(eq=False, repr=False)
class GaussianNoise(BaseEstimator):
    """Independent Gaussian noise per feature, not clipped (A3: mean .5, standard deviation 1)."""

    depends_on_rows = False

    mean: float = 0.5
    std: float = 1.0

    def generate(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Noise of the shape of ``x``; ``seed`` is int32 (2,)."""
        return tf.random.stateless_normal(tf.shape(x), seed, self.mean, self.std)


def vae(
    shape: Sequence[int], dims: Sequence[int], code: int, dropout: float
) -> tuple[keras.Model, keras.Model]:
    """Encoder and decoder of A3's variational autoencoder (authors' code).

    Parameters
    ----------
    shape : sequence of int
        Shape of one row.
    dims : sequence of int
        Hidden widths of the encoder; the decoder has them in reverse.
    code : int
        Width of the code.
    dropout : float
        Rate before the decoder's output.

    Returns
    -------
    encoder : keras.Model
        Rows to (n, 2 * code): the mean and the logarithm of the variance.
    decoder : keras.Model
        (n, code) to rows in [0, 1].
    """
    hidden = [layers.Dense(width, activation="relu") for width in dims]
    encoder = [keras.Input(tuple(shape)), layers.Flatten(), *hidden, layers.Dense(2 * code)]
    hidden = [layers.Dense(width, activation="relu") for width in reversed(dims)]
    output = [layers.Dense(int(np.prod(shape))), layers.Reshape(tuple(shape))]
    decoder = [keras.Input((code,)), *hidden, layers.Dropout(dropout), *output]
    decoder += [layers.Activation("sigmoid")]
    return keras.Sequential(encoder, name="encoder"), keras.Sequential(decoder, name="decoder")
