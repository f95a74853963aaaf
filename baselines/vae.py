"""Variational autoencoder: A3's trained anomaly network, and a baseline of its own."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.anomaly import vae
from libs.Detector import Detector
from libs.seeds import derive_seed
from libs.training import Training, gradient_step, seeded, train


class VAE(Detector):
    """Variational autoencoder trained on normal rows (Kingma and Welling, 2014).

    Score: mean squared error of the reconstruction from the code's mean, in [0, inf).
    As an anomaly network it decodes codes far from a normal row's mean: decode(μ(x) + std·ε).

    Parameters
    ----------
    dims : sequence of int
        Hidden widths of the encoder (A3 on MNIST: 800-400-100).
    code : int
        Width of the code (25).
    dropout : float
        Before the decoder's output (.1).
    anomaly_std : float
        Standard deviation of ε when generating (5).
    epochs, batch_size, learning_rate
        Adam; A3 takes 30 epochs of 256 rows at 1e-3.
    random_state : int

    Attributes
    ----------
    encoder_, decoder_ : keras.Model
        See `libs.architecture.anomaly.vae`.
    """

    networks = ("encoder_", "decoder_")
    depends_on_rows = True

    def __init__(
        self,
        dims: Sequence[int] = (800, 400, 100),
        code: int = 25,
        dropout: float = 0.1,
        anomaly_std: float = 5.0,
        epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ):
        self.dims = dims
        self.code = code
        self.dropout = dropout
        self.anomaly_std = anomaly_std
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "VAE", "weights")):
            networks = vae(x.shape[1:], tuple(self.dims), self.code, self.dropout)
        self.encoder_, self.decoder_ = networks
        features = int(np.prod(x.shape[1:]))

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            """Sum of the binary cross-entropy over features, and Kullback-Leibler divergence."""
            mean, log_variance = tf.split(self.encoder_(rows, training=True), 2, axis=1)
            noise = tf.random.stateless_normal(tf.shape(mean), seed)
            code = mean + tf.exp(0.5 * log_variance) * noise
            entropy = keras.losses.binary_crossentropy(rows, self.decoder_(code, training=True))
            divergence = tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance
            divergence = 0.5 * tf.reduce_sum(divergence, axis=1)
            return features * tf.reduce_mean(entropy) + tf.reduce_mean(divergence)

        variables = self.encoder_.trainable_variables + self.decoder_.trainable_variables
        return train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=self.random_state,
            name="VAE",
        )

    def _mean(self, x: tf.Tensor) -> tf.Tensor:
        return self.encoder_(x, training=False)[:, : self.code]

    def generate(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Counter-examples to rows ``x``, of the same shape, in [0, 1]; ``seed`` is int32 (2,)."""
        mean = self._mean(x)
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        return self.decoder_(mean + self.anomaly_std * noise, training=False)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        error = tf.square(x - self.decoder_(self._mean(x), training=False))
        return tf.reduce_mean(error, axis=list(range(1, len(x.shape))))
