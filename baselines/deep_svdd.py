"""Deep SVDD (Ruff et al., ICML 2018) and Deep SAD (Ruff et al., ICLR 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.alarm import side_by_side
from libs.architecture.bias_free import BIAS_FREE
from libs.datasets.splits.rows import feature_means
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import (
    CHUNK,
    gradient_step,
    known_ranks,
    predict_in_batches,
    random_orders,
    row_graph,
    schedule_of,
    seeded,
    train,
)
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed

LEAST = 0.1
"""Lower bound on the magnitude of the centre's entries (authors' code): 0 is easily reached."""
SMALLEST = 1e-6
"""Added to squared distances before they are inverted (Deep SAD, authors' code)."""


@dataclass(eq=False, repr=False)
class DeepSVDD(NetworkDetector):
    """Encoder that maps normal rows close to a centre; score: squared distance to it, in [0, inf).

    An autoencoder without biases is trained on the normal rows first. The fixed centre is
    the mean of their codes. Then the encoder minimises the distance to it: mean ‖f(x) - c‖².

    Differences from R2-AD2's authors' code: the centre is not recomputed from the trained encoder;
    both trainings use the given learning rate (there always 1e-4 and 1e-3); encoders read rows
    minus the mean of the normal ones; there is no dropout, as in Ruff's code (there .4, which
    lowers Deep SAD's AUC on NSL-KDD's validation rows from .99 to .79); batch normalisation of
    convolutions, without scale and shift, is used.

    Why the mean: without biases an encoder is homogeneous, so that the distance of rows near 0
    measures their norm. On Mammography's validation rows the
    AUC of Deep SAD is .45, .30 and .26 without and .78, .91 and .88 with it (seeds 1, 2, 3).

    Parameters
    ----------
    network : {"dense", "conv"}
        See `libs.architecture.bias_free`.
    dims : sequence of int
        Widths from the input to the code (40-20-10), or the code's alone (conv: 32).
    dropout : float
        Rate after every hidden layer, in both trainings.
    epochs, batch_size, learning_rate
        Of Adam, in each of the two trainings; R2-AD2 uses 100 epochs at 1e-3 and a batch size per
        data set.
    random_state : int

    Attributes
    ----------
    encoder_ : keras.Model
        Rows minus ``mean_`` to codes.
    mean_ : (...) float32
        Mean of the normal training rows.
    centre_ : (code,) float32
    """

    networks = ("encoder_",)

    network: str = "dense"
    dims: Sequence[int] = (40, 20, 10)
    dropout: float = 0.0
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        start, first = self._pretrain(x)
        self.encoder_, second = self._train("encoder", start, x, y, y == 0)
        return Training.of_stages([first, second])

    def _networks(self, shape: Sequence[int]) -> tuple[keras.Model, keras.Model]:
        """Build encoder and decoder, always with the same initial weights."""
        with seeded(derive_seed(self.random_state, "DeepSVDD", "weights")):
            return lookup(BIAS_FREE, "network", self.network)(shape, tuple(self.dims), self.dropout)

    def _codes(self, encoder: keras.Model, rows: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Codes of rows minus their mean."""
        return encoder(rows - self.mean_, training=training)

    def _pretrain(self, x: np.ndarray) -> tuple[list[np.ndarray], Training]:
        """Train the autoencoder, set mean and centre, and return the encoder's weights."""
        encoder, decoder = self._networks(x.shape[1:])
        self.mean_ = feature_means(x)

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            restored = decoder(self._codes(encoder, rows, True), training=True)
            return tf.reduce_mean(tf.square(rows - restored))

        variables = encoder.trainable_variables + decoder.trainable_variables
        training = train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            name="DeepSVDD autoencoder",
            **schedule_of(self),
        )
        codes = predict_in_batches(
            row_graph(lambda rows: self._codes(encoder, rows), x.shape[1:]), x, CHUNK
        )
        self.centre_ = centre_of(codes)
        return encoder.get_weights(), training

    def _train(
        self, name: str, start: list[np.ndarray], x: np.ndarray, y: np.ndarray, keep: np.ndarray
    ) -> tuple[keras.Model, Training]:
        """Train an encoder, from the weights ``start``, on the rows that ``keep`` marks."""
        encoder, _ = self._networks(x.shape[1:])
        encoder = keras.Sequential([keras.Input(x.shape[1:]), *encoder.layers], name=name)
        encoder.set_weights(start)
        sign = np.where(y == 1, -1.0, 1.0).astype(np.float32)

        def loss(seed: tf.Tensor, rows: tf.Tensor, sign: tf.Tensor) -> tf.Tensor:
            distance = squared_distance(self._codes(encoder, rows, True), self.centre_)
            return tf.reduce_mean(tf.pow(distance + SMALLEST, sign[:, None]))

        training = train(
            gradient_step(loss, encoder.trainable_variables, self.learning_rate),
            (x, sign),
            name=type(self).__name__,
            order=random_orders(keep, self.random_state, type(self).__name__),
            **schedule_of(self),
        )
        return encoder, training

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        np.savez(folder / "centre.npz", mean=self.mean_, centre=self.centre_)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        with np.load(folder / "centre.npz", allow_pickle=False) as arrays:
            self.mean_, self.centre_ = arrays["mean"], arrays["centre"]

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return squared_distance(self._codes(self.encoder_, x), self.centre_)


@dataclass(eq=False, repr=False)
class DeepSAD(DeepSVDD):
    """Deep SVDD that pushes known anomalies away: mean (‖f(x) - c‖² + 1e-6)^s, s = ±1 (η = 1).

    Score: squared distance to the centre, in [0, inf). Every label budget has its own
    encoder; all start from the same pre-training and share the centre.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each encoder, taken in the order of the rows. Default: one encoder with
        all of them.
    network, dims, dropout, epochs, batch_size, learning_rate, random_state
        See `DeepSVDD`.

    Attributes
    ----------
    encoder_ : keras.Model
        Rows minus ``mean_`` to the codes of every budget, one after the other.
    mean_, centre_
        See `DeepSVDD`.
    """

    uses_labels = True

    budgets: Sequence[int] | None = None

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        self.budgets_ = self._checked_budgets(int(y.sum()))
        rank = known_ranks(y)
        start, first = self._pretrain(x[y == 0])
        encoders, trainings = [], []
        for budget in self.budgets_:
            encoder, training = self._train(f"encoder_{budget}", start, x, y, rank < budget)
            encoders.append(encoder)
            trainings.append(training)
        self.encoder_ = side_by_side(encoders, "encoder")
        return Training.of_stages([first, Training.of_each(trainings)])


def centre_of(codes: np.ndarray) -> np.ndarray:
    """Mean of codes (n, d), with entries at least `LEAST` from 0, float32 (d,)."""
    mean = codes.mean(axis=0)
    pushed = np.where(mean > 0, LEAST, -LEAST)
    return np.where(np.abs(mean) < LEAST, pushed, mean).astype(np.float32)


def squared_distance(codes: tf.Tensor, centre: np.ndarray) -> tf.Tensor:
    """‖f(x) - c‖² of the codes (n, budgets · d) of every budget, (n, budgets)."""
    d = len(centre)
    codes = tf.reshape(codes, (-1, codes.shape[1] // d, d))
    return tf.reduce_sum(tf.square(codes - centre), axis=2)
