"""A3: Activation Anomaly Analysis (Sperl, Schulze, Böttinger; ECML-PKDD 2020)."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from baselines.autoencoder import Autoencoder
from libs.architecture.alarm import dense_alarm
from libs.architecture.anomaly import GaussianNoise
from libs.architecture.target import HiddenActivations
from libs.Detector import Detector
from libs.seeds import derive_seed
from libs.training import Training, gradient_step, seeded, train


class A3(Detector):
    """Alarm network on the hidden activations of a frozen target network.

    The alarm learns to tell normal rows (0) from known anomalies (1) and from rows made by an
    anomaly network (1). Score: its output, in [0, 1].

    Several label budgets are trained at once: each has an alarm network of its own and averages
    over its own rows, while rows, activations and generated rows are shared.

    Parameters
    ----------
    target : Detector with ``model_``, or keras.Model
        Fitted, or a Keras model: used as it is. Unfitted: trained on the normal rows first.
        Default: `Autoencoder` with its defaults.
    anomaly : GaussianNoise, UniformNoise or VAE
        Maker of counter-examples; trained on the normal rows first if it is an unfitted Detector.
    budgets : sequence of int, optional
        Known anomalies for each alarm network: the first ones in the order of the rows. Default:
        one network with all of them.
    alarm_dims : sequence of int
        Hidden widths of the alarm network (authors' code: 1000-500-200-75).
    dropout : float
        After its last hidden layer (.1).
    loss_weight : float
        λ, weight of the generated rows' loss (1).
    epochs, batch_size, learning_rate
        Adam; the paper's experiments take 60 epochs of 256 rows at 1e-5.
    random_state : int

    Attributes
    ----------
    target_ : keras.Model
    alarm_ : keras.Model
        Activations (n, width) to logits (n, budgets).
    """

    networks = ("target_", "alarm_")
    uses_labels = True

    def __init__(
        self,
        target: Detector | keras.Model | None = None,
        anomaly: GaussianNoise | Detector | None = None,
        budgets: Sequence[int] | None = None,
        alarm_dims: Sequence[int] = (1000, 500, 200, 75),
        dropout: float = 0.1,
        loss_weight: float = 1.0,
        epochs: int = 60,
        batch_size: int = 256,
        learning_rate: float = 1e-5,
        random_state: int = 0,
    ):
        self.target = target
        self.anomaly = anomaly
        self.budgets = budgets
        self.alarm_dims = alarm_dims
        self.dropout = dropout
        self.loss_weight = loss_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        known = np.flatnonzero(y)
        self.budgets_ = budgets = self._checked_budgets(len(known))
        target = self._fitted(self.target or Autoencoder(), x, y)
        self.target_ = target.model_ if isinstance(target, Detector) else target
        anomaly = self._fitted(self.anomaly or GaussianNoise(), x, y)
        self._activations = HiddenActivations(self.target_)
        seed = derive_seed(self.random_state, "A3", "alarm")
        with seeded(seed):
            self.alarm_ = dense_alarm(
                self._activations.width, self.alarm_dims, self.dropout, len(budgets), seed
            )

        # rank: which known anomaly a row is; -1 for a normal row, which belongs to every budget
        rank = np.full(len(x), -1, np.int32)
        rank[known] = np.arange(len(known))
        limits = tf.constant(budgets, tf.int32)

        def loss(seed: tf.Tensor, rows: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
            n = tf.shape(rows)[0]
            both = tf.concat([rows, anomaly.generate(rows, seed)], axis=0)
            logits = self.alarm_(self._activations(both), training=True)
            real, generated = logits[:n], logits[n:]
            own = tf.cast(rank[:, None] < limits[None, :], tf.float32)
            label = tf.cast(rank >= 0, tf.float32)[:, None] * tf.ones_like(own)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(label, real)

            def own_mean(values: tf.Tensor) -> tf.Tensor:
                # a batch may hold rows of larger budgets only
                return tf.math.divide_no_nan(tf.reduce_sum(own * values, 0), tf.reduce_sum(own, 0))

            counter = tf.nn.softplus(-generated)
            if anomaly.depends_on_rows:
                counter = own_mean(counter)
            else:
                counter = tf.reduce_mean(counter, axis=0)
            return tf.reduce_sum(own_mean(entropy) + self.loss_weight * counter)

        return train(
            gradient_step(loss, self.alarm_.trainable_variables, self.learning_rate),
            (x, rank),
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=self.random_state,
            name="A3",
        )

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self._activations = HiddenActivations(self.target_)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(self.alarm_(self._activations(x), training=False))
