"""DevNet: deviation networks (Pang, Shen, van den Hengel; KDD 2019)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.alarm import side_by_side
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import gradient_step, schedule_of, seeded, train
from libs.training.optimisers import rmsprop
from libs.training.record import Training
from libs.utils.seeds import derive_seed

REFERENCES = 5000
"""Draws from N(0, 1) that stand for the scores of normal rows (paper, section 4.1)."""
MARGIN = 5.0
"""Deviation that a known anomaly should have at least: five standard deviations (paper: a = 5)."""


@dataclass(eq=False, repr=False)
class DevNet(NetworkDetector):
    """Scoring network whose scores of known anomalies deviate from a Gaussian reference.

    Score: the output of the linear unit, in (-inf, inf); normal rows lie around 0, known anomalies
    at 5 and above. Every label budget trains its own network.

    Differences from the paper: the reference scores are drawn once per training, not for every
    batch, and normal rows are drawn with replacement, as known anomalies are.

    Parameters
    ----------
    budgets : sequence of int, optional
        Known anomalies of each network, at least 1, taken in the order of the rows. Default: one
        network with all of them.
    width : int
        Units of the hidden layer, ReLU (20).
    l2 : float
        L2 penalty on the kernel of the hidden layer (.01).
    batches : int
        Updates in an epoch (20).
    epochs, batch_size, learning_rate
        Of RMSprop, gradients clipped to norm 1 per variable; the paper uses 50 epochs of 512 rows.
        Its learning rate is Keras' default, 1e-3.
    random_state : int

    Attributes
    ----------
    model_ : keras.Model
        Rows to scores (n, budgets).
    """

    networks = ("model_",)
    uses_labels = True
    fewest_known = 1

    budgets: Sequence[int] | None = None
    width: int = 20
    l2: float = 0.01
    batches: int = 20
    epochs: int = 50
    batch_size: int = 512
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        known = np.flatnonzero(y)
        self.budgets_ = self._checked_budgets(len(known))
        networks = [self._network(x.shape[1:], f"network_{i}") for i in range(len(self.budgets_))]
        trainings = [
            self._train(network, x, y, known[:budget])
            for network, budget in zip(networks, self.budgets_, strict=True)
        ]
        self.model_ = side_by_side(networks, "devnet")
        return Training.of_each(trainings)

    def _network(self, shape: Sequence[int], name: str) -> keras.Model:
        """Build the network, rows to scores (n, 1), with equal initial weights for all budgets."""
        penalty = keras.regularizers.L2(self.l2)
        with seeded(derive_seed(self.random_state, "DevNet", "weights")):
            hidden = layers.Dense(self.width, activation="relu", kernel_regularizer=penalty)
            stack = [keras.Input(tuple(shape)), layers.Flatten(), hidden, layers.Dense(1)]
            return keras.Sequential(stack, name=name)

    def _train(
        self, network: keras.Model, x: np.ndarray, y: np.ndarray, known: np.ndarray
    ) -> Training:
        """Train one network; ``known`` are the row numbers of its budget."""
        rng = np.random.default_rng(derive_seed(self.random_state, "DevNet", "reference"))
        reference = rng.standard_normal(REFERENCES)
        mean, std = float(reference.mean()), float(reference.std())

        def loss(seed: tf.Tensor, rows: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            score = tf.squeeze(network(rows, training=True), axis=1)
            deviation = deviation_loss(score, label, mean, std)
            return tf.reduce_mean(deviation) + tf.add_n(network.losses)

        return train(
            gradient_step(
                loss,
                network.trainable_variables,
                self.learning_rate,
                partial(rmsprop, clip_norm=1.0),
            ),
            (x, y.astype(np.float32)),
            name="DevNet",
            order=self._half_and_half(np.flatnonzero(y == 0), known),
            **schedule_of(self),
        )

    def _half_and_half(self, normal: np.ndarray, known: np.ndarray) -> Callable[[int], np.ndarray]:
        """Make row numbers of an epoch, half known anomalies and half normal rows per batch.

        Both are drawn with replacement; normal rows do not depend on the budget.
        """
        half = self.batch_size // 2

        def order(epoch: int) -> np.ndarray:
            rng = np.random.default_rng(derive_seed(self.random_state, "DevNet", epoch))
            others = rng.choice(normal, (self.batches, self.batch_size - half))
            anomalies = rng.choice(known, (self.batches, half))
            return np.concatenate([others, anomalies], axis=1).reshape(-1)

        return order

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return self.model_(x, training=False)


def deviation_loss(score: tf.Tensor, label: tf.Tensor, mean: float, std: float) -> tf.Tensor:
    """Deviation loss of each row (paper, equations 6 and 7), shape (n,).

    Parameters
    ----------
    score, label : (n,) float
        Their shapes must be equal: (n, 1) against (n,) would broadcast to all pairs of rows and
        make the loss independent of labels.
    mean, std : float
        Of the reference scores; std without Bessel's correction.
    """
    if score.shape.rank != 1 or label.shape.rank != 1:
        raise ValueError(f"expected scores and labels (n,), found {score.shape}, {label.shape}")
    deviation = (score - mean) / std
    return (1.0 - label) * tf.abs(deviation) + label * tf.nn.relu(MARGIN - deviation)
