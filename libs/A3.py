"""A3: Activation Anomaly Analysis (Sperl, Schulze, Böttinger; ECML-PKDD 2020)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from baselines.autoencoder import Autoencoder
from libs.architecture.alarm import dense_alarm
from libs.architecture.anomaly import GaussianNoise
from libs.architecture.target import HiddenActivations
from libs.detectors.attribution import GRADIENTS, Explanation
from libs.detectors.detector import Detector
from libs.detectors.network_detector import NetworkDetector
from libs.detectors.path_gradients import integrated_gradients, path_graph
from libs.training.loop import (
    CHUNK,
    gradient_step,
    known_ranks,
    predict_in_batches,
    row_graph,
    schedule_of,
    seeded,
    train,
)
from libs.training.record import Training
from libs.utils.seeds import derive_seed


@dataclass(eq=False, repr=False)
class A3(NetworkDetector):
    """Alarm network on the hidden activations of a frozen target network.

    The alarm learns to tell normal rows (0) from known anomalies (1) and from rows made by an
    anomaly network (1). Score: its output, in [0, 1].

    Label budgets train together: each has its own alarm network and averages over its own rows,
    while rows, activations and generated rows are shared.

    Parameters
    ----------
    target : Detector with ``model_``, or keras.Model
        Used as it is if fitted or a Keras model, else trained on the normal rows first.
        Default: `Autoencoder` with its defaults.
    anomaly : GaussianNoise or VAE
        Makes counter-examples; an unfitted Detector is trained on the normal rows first.
    budgets : sequence of int, optional
        Known anomalies of each alarm network, taken in the order of the rows. Default: one network
        with all of them.
    alarm_dims : sequence of int
        Hidden widths of the alarm network (authors' code: 1000-500-200-75).
    dropout : float, or one float for each of ``alarm_dims``
        Rate after its last hidden layer (.1), or after each (.2 in R2-AD2's experiments).
    target_dropout : bool
        Whether the dropout of the target acts on the activations that the alarm learns from, as in
        the authors' code for images; off by default. Rows are always scored without it.
    loss_weight : float
        λ, weight of the loss on generated rows (1).
    weights_l1, weights_l2, output_l1, output_l2 : float
        Penalties of the authors' code, none by default: on the sum of absolute (squared) weights of
        the alarm's first layer, and on the mean absolute (squared) distance of its output from 1.
    epochs, batch_size, learning_rate
        Of Adam; the paper uses 60 epochs with batches of 256 rows at 1e-5.
    precision : {"float32", "bfloat16"}
        Of the matrix products in training; weights, losses and scores are always float32.
    random_state : int

    Attributes
    ----------
    target_ : keras.Model
    alarm_ : keras.Model
        Activations (n, width) to logits (n, budgets).
    """

    networks = ("target_", "alarm_")
    uses_labels = True
    explained_by = GRADIENTS
    parts = "layers"

    target: Detector | keras.Model | None = None
    anomaly: GaussianNoise | Detector | None = None
    budgets: Sequence[int] | None = None
    alarm_dims: Sequence[int] = (1000, 500, 200, 75)
    dropout: float | Sequence[float] = 0.1
    target_dropout: bool = False
    loss_weight: float = 1.0
    weights_l1: float = 0.0
    weights_l2: float = 0.0
    output_l1: float = 0.0
    output_l2: float = 0.0
    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 1e-5
    precision: str = "float32"
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        self.budgets_ = self._checked_budgets(int(y.sum()))
        target = self._fitted(self.target or Autoencoder(), x, y)
        self.target_ = target.model_ if isinstance(target, Detector) else target
        anomaly = self._fitted(self.anomaly or GaussianNoise(), x, y)
        self._activations = HiddenActivations(self.target_)
        read = self._activations
        if self.target_dropout:
            read = HiddenActivations(self.target_, dropout=True)
        alarm = self._new_alarm(self.precision)

        def loss(seed: tf.Tensor, rows: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
            generated = anomaly.generate(rows, seed)
            both = read(tf.concat([rows, generated], axis=0), seed)
            logits = tf.cast(alarm(both, training=True), tf.float32)
            real, generated = tf.split(logits, 2)
            value = self._loss(real, generated, rank, anomaly.depends_on_rows)
            return value + self._weight_penalty(alarm.trainable_variables[0].value)

        training = train(
            gradient_step(loss, alarm.trainable_variables, self.learning_rate),
            (x, known_ranks(y)),
            name="A3",
            **schedule_of(self),
        )
        self.alarm_ = self._new_alarm("float32")
        self.alarm_.set_weights(alarm.get_weights())
        return training

    def _new_alarm(self, precision: str) -> keras.Model:
        """Build the untrained alarm network, with a copy for every label budget."""
        seed = derive_seed(self.random_state, "A3", "alarm")
        width, copies = self._activations.width, len(self.budgets_)
        with seeded(seed):
            return dense_alarm(width, self.alarm_dims, self.dropout, copies, seed, precision)

    def _loss(
        self, real: tf.Tensor, generated: tf.Tensor, rank: tf.Tensor, paired: bool
    ) -> tf.Tensor:
        """Sum over the label budgets of ``mean BCE(y, real) + λ · mean BCE(1, generated)``.

        Each budget averages over its own rows and, where generated rows are ``paired`` with real
        ones, over its own generated rows. Logits (n, budgets); ``rank`` (n,).
        """
        own = tf.cast(rank[:, None] < tf.constant(self.budgets_)[None, :], tf.float32)
        label = tf.cast(rank >= 0, tf.float32)[:, None] * tf.ones_like(own)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(label, real)
        counter = self.loss_weight * tf.nn.softplus(-generated)
        loss = _mean(entropy + self._output_penalty(real), own)
        own = own if paired else tf.ones_like(own)
        return tf.reduce_sum(loss + _mean(counter + self._output_penalty(generated), own))

    def _output_penalty(self, logits: tf.Tensor) -> tf.Tensor:
        gap = tf.sigmoid(-logits)  # 1 - output
        return self.output_l1 * gap + self.output_l2 * tf.square(gap)

    def _weight_penalty(self, kernel: tf.Tensor) -> tf.Tensor | float:
        if not (self.weights_l1 or self.weights_l2):
            return 0.0  # saves a pass over up to 30 million weights
        absolute, square = tf.reduce_sum(tf.abs(kernel)), tf.reduce_sum(tf.square(kernel))
        return self.weights_l1 * absolute + self.weights_l2 * square

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self._activations = HiddenActivations(self.target_)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return self._verdict(self._activations(x))

    def _verdict(self, activations: tf.Tensor) -> tf.Tensor:
        """Scores of the alarm networks for activations (n, width), shape (n, budgets)."""
        return tf.sigmoid(self.alarm_(activations, training=False))

    def explain_parts(self, x: np.ndarray, budget: int | None = None) -> Explanation:
        """What each layer of the target contributes to the score of each row.

        Integrated gradients along the straight path between the activations of the reference row
        that `explain` starts from and those of the row, added up over the units of each layer.

        Parameters
        ----------
        x, budget
            See `explain`.

        Returns
        -------
        Explanation
            ``contributions`` are (n, layers), ``names`` the layers of the target.

        Raises
        ------
        UserError
            If there are no reference rows.
        """
        column, layers = self.column_of(budget), self._activations
        first = np.cumsum([0, *layers.layer_widths[:-1]])
        read = row_graph(layers, self.input_shape_)
        parts = []
        for block in self._checked_blocks(x):
            chosen = self._nearest(block, column)
            ends = (
                predict_in_batches(read, rows, CHUNK) for rows in (block, self.reference_[chosen])
            )
            found = integrated_gradients(self._verdict_path, *ends, column)
            summed = np.add.reduceat(found.contributions, first, axis=1)
            names = tuple(layers.layer_names)
            parts.append(replace(found, contributions=summed, reference=chosen, names=names))
        return Explanation.joined(parts)

    @cached_property
    def _verdict_path(self) -> Callable:
        return path_graph(self._verdict, (self._activations.width,))


def _mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Weighted mean of each column; 0 if a batch holds rows of larger budgets only."""
    return tf.math.divide_no_nan(tf.reduce_sum(weights * values, 0), tf.reduce_sum(weights, 0))
