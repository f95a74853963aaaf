"""Variational autoencoder: A3's trained anomaly network, and a baseline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from libs.architecture.anomaly import vae
from libs.architecture.target import LOSSES
from libs.detectors.attribution import ERRORS
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import gradient_step, schedule_of, seeded, train
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed


@dataclass(eq=False, repr=False)
class VAE(NetworkDetector):
    """Variational autoencoder trained on normal rows (Kingma and Welling, 2014).

    Score: mean squared error of the reconstruction from the code's mean, in [0, inf).
    Loss: the error as a sum over features, and the Kullback-Leibler divergence.
    As an anomaly network it decodes codes far from the mean of a normal row: decode(μ(x) + std·ε).

    Parameters
    ----------
    dims : sequence of int
        Hidden widths of the encoder (A3 on MNIST: 800-400-100).
    code : int
        Width of the code (25).
    dropout : float
        Rate before the decoder's output (.1).
    anomaly_std : float
        Standard deviation of ε when generating (5).
    loss : {"binary_crossentropy", "mse"}
    divergence_weight : float
        Of the divergence (1; less than 1 is the β of Higgins et al., 2017).
    warm_up : float
        Fraction of the updates over which that weight grows from 0, against uninformative codes
        (Bowman et al., 2016). 0: none.
    draws : int
        Number of random codes over which the error is averaged; all rows share the draws, so
        that no score depends on another row. 0: the error of the mean code.
    epochs, batch_size, learning_rate
        Of Adam; A3 uses 30 epochs with batches of 256 rows at 1e-3, deepad 8 of 128 at .01.
    random_state : int

    Attributes
    ----------
    encoder_, decoder_ : keras.Model
        See `libs.architecture.anomaly.vae`.
    """

    networks = ("encoder_", "decoder_")
    explained_by = ERRORS
    depends_on_rows = True

    dims: Sequence[int] = (800, 400, 100)
    code: int = 25
    dropout: float = 0.1
    anomaly_std: float = 5.0
    loss: str = "binary_crossentropy"
    divergence_weight: float = 1.0
    warm_up: float = 0.0
    draws: int = 0
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "VAE", "weights")):
            networks = vae(x.shape[1:], tuple(self.dims), self.code, self.dropout)
        self.encoder_, self.decoder_ = networks
        features = int(np.prod(x.shape[1:]))
        error = lookup(LOSSES, "loss", self.loss)
        updates = self.epochs * math.ceil(len(x) / self.batch_size)
        warm = max(1.0, self.warm_up * updates)

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            mean, log_variance = self._code(rows, training=True)
            noise = tf.random.stateless_normal(tf.shape(mean), seed)
            code = mean + tf.exp(0.5 * log_variance) * noise
            errors = error(rows, self.decoder_(code, training=True))
            divergence = tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance
            divergence = 0.5 * tf.reduce_sum(divergence, axis=1)
            update = tf.cast(seed[1] + 1, tf.float32)  # the seed counts the updates
            weight = self.divergence_weight * tf.minimum(1.0, update / warm)
            return features * tf.reduce_mean(errors) + weight * tf.reduce_mean(divergence)

        variables = self.encoder_.trainable_variables + self.decoder_.trainable_variables
        return train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            name="VAE",
            **schedule_of(self),
        )

    def _code(self, x: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and logarithm of the variance of each row's code, (n, code) each."""
        return tf.split(self.encoder_(x, training=training), 2, axis=1)

    def generate(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Counter-examples to rows ``x``, of the same shape, in [0, 1]; ``seed`` is int32 (2,)."""
        mean = self._code(x)[0]
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        return self.decoder_(mean + self.anomaly_std * noise, training=False)

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        mean, log_variance = self._code(x)
        rng = np.random.default_rng(derive_seed(self.random_state, "VAE", "draws"))
        noise = rng.standard_normal((self.draws, self.code)).astype(np.float32)
        codes = [mean + tf.exp(0.5 * log_variance) * draw for draw in noise] or [mean]
        errors = [tf.square(x - self.decoder_(code, training=False)) for code in codes]
        return tf.add_n(errors) / len(errors)
