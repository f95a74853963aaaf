"""R2-AD2: detecting anomalies by the raw gradient (Schulze et al.; ECML-PKDD 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.alarm import sequence_alarm, side_by_side
from libs.architecture.anomaly import GaussianNoise
from libs.architecture.gradients import RawGradients
from libs.detectors.attribution import GRADIENTS
from libs.detectors.network_detector import NetworkDetector
from libs.targets.checkpoints import Checkpoints, first_copies
from libs.training.loop import Step, known_ranks, random_orders, schedule_of, seeded, train
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.seeds import derive_seed

SCORED_ROWS = 1024
"""Rows scored at a time: their gradients take 150 MB on NSL-KDD."""


@dataclass(eq=False, repr=False)
class R2AD2(NetworkDetector):
    """Recurrent alarm network on the loss gradients of a frozen autoencoder at several checkpoints.

    At every checkpoint, the gradient of each single row's reconstruction loss with respect to all
    weights is computed. The alarm learns to tell the sequences of normal rows (0) from those of
    known anomalies (1) and of rows made by an anomaly network (1). Score: its output, in [0, 1].

    Every label budget trains its own alarm network separately: next to its millions of weights, the
    gradients that budgets could share cost little.

    Differences from the authors' code: the gradients of a batch are computed once for both of its
    updates; the loss is computed from logits, so that saturated outputs that are badly wrong keep
    their gradient; all checkpoints are trained on the same rows.

    Parameters
    ----------
    target : Checkpoints
        Trained on the normal rows first if unfitted. Default: `Checkpoints` with its defaults.
    anomaly : GaussianNoise
        Makes counter-examples (N(.5, 1)).
    steps : int
        Number of checkpoints read, from the first (3; R2-AD2-1 to -4 in the paper's ablation).
    budgets : sequence of int, optional
        Known anomalies of each alarm network, taken in the order of the rows. Default: one network
        with all of them.
    alarm_dims : sequence of int
        See `libs.architecture.alarm.sequence_alarm` (1000-500-200-75; Mammography 100-50-25-10).
    dropout : float
        Of the alarm network (.4).
    epochs, batch_size, learning_rate
        Of Adam; the paper uses 100 epochs at 1e-3 and a batch size per data set.
    precision : {"float32", "bfloat16"}
        Of the matrix products of the alarm's head in training; the rows' gradients, weights, losses
        and scores are always float32.
    random_state : int

    Attributes
    ----------
    target_ : keras.Model
        See `libs.targets.checkpoints.Checkpoints`.
    alarm_ : keras.Model
        Gradients (n, steps, weights) to logits (n, budgets).
    """

    networks = ("target_", "alarm_")
    uses_labels = True
    explained_by = GRADIENTS

    target: Checkpoints | None = None
    anomaly: GaussianNoise | None = None
    steps: int = 3
    budgets: Sequence[int] | None = None
    alarm_dims: Sequence[int] = (1000, 500, 200, 75)
    dropout: float = 0.4
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    precision: str = "float32"
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        rank = known_ranks(y)
        self.budgets_ = self._checked_budgets(int(y.sum()))
        self.target_ = self._fitted(self.target or Checkpoints(), x, y).model_
        self._gradients = RawGradients(first_copies(self.target_, self.steps))
        alarms, trainings = [], []
        for budget in self.budgets_:
            learner = self._alarm(f"alarm_{budget}", self.precision)
            training = train(
                self._step(learner),
                (x, y.astype(np.float32)),
                name="R2AD2",
                order=random_orders(rank < budget, self.random_state, "R2AD2"),
                **schedule_of(self),
            )
            alarms.append(self._alarm(learner.name, "float32"))
            alarms[-1].set_weights(learner.get_weights())
            trainings.append(training)
        self.alarm_ = side_by_side(alarms, "alarm")
        return Training.of_each(trainings)

    def _alarm(self, name: str, precision: str) -> keras.Model:
        """Build an untrained alarm network."""
        shape = self.steps, self._gradients.width
        with seeded(derive_seed(self.random_state, "R2AD2", "alarm")):
            return sequence_alarm(*shape, self.alarm_dims, self.dropout, name, precision)

    def _step(self, alarm: keras.Model) -> Step:
        """Update the head, then the normalisation, on one batch (authors' code).

        The first update includes generated rows and normalises by moving averages. The second
        updates scale, shift and the averages from the real rows alone, without dropout.
        """
        normalise, head = alarm.layers
        of_head = Adam(head.trainable_variables, self.learning_rate)
        of_normalisation = Adam(normalise.trainable_variables, self.learning_rate)
        anomaly = self.anomaly or GaussianNoise()

        def step(seed: tf.Tensor, rows: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            n = tf.shape(rows)[0]
            both = self._gradients(tf.concat([rows, anomaly.generate(rows, seed)], axis=0))

            def entropy(logits: tf.Tensor) -> tf.Tensor:
                logits = tf.cast(logits, tf.float32)
                each = tf.nn.sigmoid_cross_entropy_with_logits(label[:, None], logits)
                return tf.reduce_mean(each)

            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(of_head.variables)
                logits = head(normalise(both, training=False), training=True)
                generated = tf.nn.softplus(-tf.cast(logits[n:], tf.float32))
                loss = entropy(logits[:n]) + tf.reduce_mean(generated)
            of_head.minimise(loss, tape)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(of_normalisation.variables)
                second = entropy(head(normalise(both[:n], training=True), training=False))
            of_normalisation.minimise(second, tape)
            return loss

        return step

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self._gradients = RawGradients(first_copies(self.target_, self.steps))

    def _at_once(self) -> int:
        return SCORED_ROWS

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(self.alarm_(self._gradients(x), training=False))
