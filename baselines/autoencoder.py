"""Autoencoder: A3's usual target, and a baseline scored by reconstruction error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from libs.architecture.target import LOSSES, autoencoder
from libs.detectors.attribution import ERRORS
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import gradient_step, schedule_of, seeded, train
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed


@dataclass(eq=False, repr=False)
class Autoencoder(NetworkDetector):
    """Autoencoder trained on normal rows; score: mean squared reconstruction error, in [0, inf).

    Parameters
    ----------
    network : {"dense", "linear_code", "conv", "dropout_dense", "dropout_conv"}
        See `libs.architecture.target`.
    dims : sequence of int
        Widths from the input to the code; channels (conv); the code's width (dropout_conv).
    dropout : float
    loss : {"binary_crossentropy", "mse"}
    epochs, batch_size, learning_rate
        Of Adam; A3 uses 30 epochs with batches of 256 rows at 1e-3, deepad 14 of 128 at .01.
    random_state : int

    Attributes
    ----------
    model_ : keras.Model
        Rows to reconstructed rows in [0, 1].
    """

    networks = ("model_",)
    explained_by = ERRORS

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    dropout: float = 0.1
    loss: str = "binary_crossentropy"
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        error = lookup(LOSSES, "loss", self.loss)
        with seeded(derive_seed(self.random_state, "Autoencoder", "weights")):
            self.model_ = autoencoder(self.network, x.shape[1:], self.dims, self.dropout)

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(error(rows, self.model_(rows, training=True)))

        return train(
            gradient_step(loss, self.model_.trainable_variables, self.learning_rate),
            (x,),
            name="Autoencoder",
            **schedule_of(self),
        )

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        return tf.square(x - self.model_(x, training=False))
