"""GradCon: backpropagated gradients constrained to one direction (Kwon et al., ECCV 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.gradients import layer_gradients, squared_error
from libs.architecture.target import autoencoder, row_error
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import Step, schedule_of, seeded, train
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

SCORED_ROWS = 1024
"""Rows scored at a time: the gradients of one kernel take 20 MB on NSL-KDD."""


@dataclass(eq=False, repr=False)
class GradCon(NetworkDetector):
    """Autoencoder whose decoder gradients on normal rows are aligned with those of the past.

    Loss: squared error + α times the mean over decoder kernels of -cos(gradient of the batch's
    squared error, mean gradient of the batches before). The mean is that of the gradients of the
    whole loss (paper, equation 4). Score: squared error + β times the mean over decoder kernels of
    -cos(gradient of the row's own squared error, mean gradient).

    The cosine is a differentiable number per kernel, of flattened gradients. R2-AD2's authors
    compute it over an axis of length 1, where it is a sign without gradient.

    Parameters
    ----------
    network : {"dropout_dense", "dropout_conv"}
        See `libs.architecture.target`.
    dims : sequence of int
        Widths from the input to the code, or the code's alone (conv: 8).
    dropout : float
    loss_weight : float
        α (.03).
    score_weight : float
        β (.12).
    epochs, batch_size, learning_rate
        Of Adam; R2-AD2 uses 100 epochs at 1e-3 and a batch size per data set.
    random_state : int

    Attributes
    ----------
    model_ : keras.Model
        Rows to reconstructed rows in [0, 1].
    directions_ : list of (i·o,) float32 arrays
        Mean gradient of each decoder kernel.
    """

    networks = ("model_",)

    network: str = "dropout_dense"
    dims: Sequence[int] = (40, 20, 10)
    dropout: float = 0.4
    loss_weight: float = 0.03
    score_weight: float = 0.12
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "GradCon", "weights")):
            self.model_ = autoencoder(self.network, x.shape[1:], self.dims, self.dropout)
        if not decoder_kernels(self.model_):
            raise UserError(
                f"network {self.network!r} has no layers whose names start with 'decoder'; "
                "expected dropout_dense or dropout_conv"
            )
        means = [tf.Variable(tf.zeros_like(k.value)) for k in decoder_kernels(self.model_)]
        training = train(self._step(means), (x,), name="GradCon", **schedule_of(self))
        self.directions_ = [mean.numpy().reshape(-1) for mean in means]
        return training

    def _step(self, means: Sequence[tf.Variable]) -> Step:
        """Update the autoencoder, then the mean gradients."""
        adam = Adam(self.model_.trainable_variables, self.learning_rate)
        kernels = [kernel.value for kernel in decoder_kernels(self.model_)]
        places = [next(i for i, v in enumerate(adam.variables) if v is k) for k in kernels]
        batches = tf.Variable(0.0)

        def step(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as outer:
                outer.watch(adam.variables)
                with tf.GradientTape(watch_accessed_variables=False) as inner:
                    inner.watch(kernels)
                    error = tf.reduce_mean(tf.square(rows - self.model_(rows, training=True)))
                gradients = inner.gradient(error, kernels)
                cosines = [
                    cosine(tf.reshape(gradient, (1, -1)), tf.reshape(mean, (-1,)))
                    for gradient, mean in zip(gradients, means, strict=True)
                ]
                loss = error - self.loss_weight * tf.reduce_mean(cosines)
            total = adam.minimise(loss, outer)
            batches.assign_add(1.0)
            for mean, place in zip(means, places, strict=True):
                mean.assign_add((total[place] - mean) / batches)
            return loss

        return step

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        np.savez(folder / "directions.npz", *self.directions_)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        with np.load(folder / "directions.npz", allow_pickle=False) as arrays:
            self.directions_ = [arrays[f"arr_{i}"] for i in range(len(arrays))]

    def _at_once(self) -> int:
        return SCORED_ROWS

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        error = row_error(x, self.model_(x, training=False))
        gradients = layer_gradients(self.model_, x, squared_error)
        kernels = [g.kernel() for g in gradients if _in_decoder(g.layer)]
        cosines = [
            cosine(tf.reshape(kernel, (tf.shape(x)[0], len(direction))), direction)
            for kernel, direction in zip(kernels, self.directions_, strict=True)
        ]
        return error - self.score_weight * tf.reduce_mean(cosines, axis=0)


def decoder_kernels(model: keras.Model) -> list[keras.Variable]:
    """Kernels of an autoencoder's decoder, from the code to the output."""
    return [layer.kernel for layer in model.layers if layer.weights and _in_decoder(layer)]


def _in_decoder(layer: keras.Layer) -> bool:
    return layer.name.startswith("decoder")


def cosine(vectors: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Cosine of each vector (n, d) and one direction (d,), shape (n,); 0 where one is zero."""
    squares = tf.reduce_sum(tf.square(vectors), axis=1) * tf.reduce_sum(tf.square(direction))
    there = squares > 0
    # bounded before the root, whose gradient at 0 is infinite
    norm = tf.sqrt(tf.where(there, squares, 1.0))
    return tf.where(there, tf.linalg.matvec(vectors, direction) / norm, 0.0)
