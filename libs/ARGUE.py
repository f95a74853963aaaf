"""ARGUE: recombining gated unsupervised experts (Schulze, Sperl, Böttinger; IJCNN 2022)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from libs.architecture.anomaly import GaussianNoise
from libs.architecture.experts import expert_activations, expert_alarm, gate
from libs.detectors.attribution import GRADIENTS
from libs.detectors.network_detector import NetworkDetector
from libs.targets.multi_head_autoencoder import EXPERTS, MultiHeadAutoencoder, chunk_rows
from libs.training.early_stopping import Patience, choose_held_out
from libs.training.loop import (
    Step,
    known_ranks,
    predict_in_batches,
    row_graph,
    schedule_of,
    seeded,
    train,
)
from libs.training.optimisers import Adam, add_gradients
from libs.training.record import Training
from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

GATE_FACTOR = 0.5
"""Learning rate of the gate as a fraction of the alarm's (authors' code)."""
BLOCK = 256
"""Real rows, and as many generated ones, per gradient computation: the activations of more rows
than these exceed a processor's cache."""


@dataclass(eq=False, repr=False)
class ARGUE(NetworkDetector):
    """Experts for groups of normal rows, an alarm network on their activations, and a gate.

    Target: a frozen `MultiHeadAutoencoder`. One alarm network, shared by all experts, reads the
    activations of the encoder and of one expert's decoder, and returns that expert's score a_i. The
    gate reads those of the encoder and weighs the experts by g_i; its last output stands for
    "anomaly". Score: Σ g_i·a_i + g_anomaly, in [0, 1].

    The alarm learns that score: 0 for normal rows, 1 for known anomalies and for generated rows.
    The gate learns which expert a normal row belongs to, and the last output for all other rows.
    Both losses are cross-entropies; the alarm's gradient stops at the gate. Label budgets train
    together as in `libs.A3`: each has its own alarm and gate and averages over its own rows.

    A4RGUE is ``ARGUE(target=MultiHeadAutoencoder(clustering=AdversarialClustering()))``. Unlike
    in the authors' code, its gate also learns the last output for known anomalies rather than a
    cluster of normal rows.

    Parameters
    ----------
    target : MultiHeadAutoencoder
        Used as it is if fitted, else trained on the normal rows first. Default: the class's own
        defaults.
    anomaly : GaussianNoise
        Makes a counter-example for each row (N(.5, 1)).
    budgets : sequence of int, optional
        Known anomalies of each alarm and gate, taken in the order of the rows. Default: one of each
        with all of them.
    alarm_dims : sequence of int
        Hidden widths of alarm and gate (authors' code: 1000-500-200-75).
    dropout : float
        Rate after each of their hidden layers (.1).
    patience : int, optional
        Epochs without improvement after which training stops; see
        `libs.training.early_stopping`.
    epochs, batch_size, learning_rate
        Of Adam; the paper uses 500 epochs at 1e-4. The gate's learning rate is half of it.
    precision : {"float32", "bfloat16"}
        Of the matrix products in training; weights, losses and scores are always float32.
    random_state : int

    Attributes
    ----------
    encoder_, decoders_ : keras.Model
        Of the target.
    alarm_ : keras.Model
        Activations to logits (n, experts, budgets).
    gate_ : keras.Model
        The encoder's activations to logits (n, budgets, experts + 1).
    expert_names_ : tuple of str
        Of the target.
    """

    networks = ("encoder_", "decoders_", "alarm_", "gate_")
    uses_labels = True
    uses_classes = True
    explained_by = GRADIENTS
    gated = True

    target: MultiHeadAutoencoder | None = None
    anomaly: GaussianNoise | None = None
    budgets: Sequence[int] | None = None
    alarm_dims: Sequence[int] = (1000, 500, 200, 75)
    dropout: float = 0.1
    patience: int | None = None
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-4
    precision: str = "float32"
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray, classes: np.ndarray | None) -> Training:
        self.budgets_ = self._checked_budgets(int(y.sum()))
        target = self._fitted(self.target or MultiHeadAutoencoder(), x, y, classes)
        self.encoder_, self.decoders_ = target.encoder_, target.decoders_
        self.expert_names_ = target.expert_names_
        self._build(self.precision)
        # group: the expert of a normal row; a known anomaly belongs to the gate's last output
        group = np.full(len(x), len(self.expert_names_), np.int32)
        normal_classes = None if classes is None else classes[y == 0]
        group[y == 0] = target.groups(x[y == 0], normal_classes)
        rows, patience = (x, known_ranks(y), group), None
        if self.patience is not None:
            out = np.zeros(len(x), bool)
            out[y == 0] = choose_held_out(group[y == 0], self.random_state)
            patience = self._patience([values[out] for values in rows])
            rows = [values[~out] for values in rows]
        training = train(self._step(), rows, name="ARGUE", patience=patience, **schedule_of(self))
        learned = self.alarm_.get_weights(), self.gate_.get_weights()
        self._build("float32")
        self.alarm_.set_weights(learned[0])
        self.gate_.set_weights(learned[1])
        return training

    def _build(self, precision: str) -> None:
        """Build alarm and gate."""
        width, own_shape = self.encoder_.output_shape[1][1], self.decoders_.output_shape[1][1:]
        dims, copies = tuple(self.alarm_dims), len(self.budgets_)
        seed = derive_seed(self.random_state, "ARGUE", "alarm")
        with seeded(seed):
            self.alarm_ = expert_alarm(
                width, own_shape, dims, self.dropout, copies, seed, precision
            )
        outputs = len(self.expert_names_) + 1
        seed = derive_seed(self.random_state, "ARGUE", "gate")
        with seeded(seed):
            self.gate_ = gate(width, outputs, dims, self.dropout, copies, seed, precision)

    def _step(self) -> Step:
        """Update the alarm and then the gate; the alarm's loss uses the gate before its update."""
        alarm = Adam(self.alarm_.trainable_variables, self.learning_rate)
        gate = Adam(self.gate_.trainable_variables, GATE_FACTOR * self.learning_rate)
        anomaly = self.anomaly or GaussianNoise()

        def step(seed: tf.Tensor, rows: tf.Tensor, rank: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
            batch = rows, anomaly.generate(rows, seed), rank, group, self._weights(rank)

            def add(first: tf.Tensor, total: tf.Tensor, *gradients: list) -> tuple:
                of_alarm, of_gate = gradients
                with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                    tape.watch([*alarm.variables, *gate.variables])
                    losses = self._losses(*(part[first : first + BLOCK] for part in batch))
                of_alarm = add_gradients(of_alarm, tape.gradient(losses[0], alarm.variables))
                of_gate = add_gradients(of_gate, tape.gradient(losses[1], gate.variables))
                # as a pair: TensorFlow 2.21 breaks a sum of three scalars in a loop on images
                return first + BLOCK, total + tf.stack(losses), of_alarm, of_gate

            _, total, of_alarm, of_gate = tf.while_loop(
                lambda first, *_: first < tf.shape(rows)[0],
                add,
                (0, tf.zeros(2), alarm.zeros(), gate.zeros()),
            )
            alarm.apply(of_alarm)
            gate.apply(of_gate)
            return tf.reduce_sum(total)

        return step

    def _weights(self, rank: tf.Tensor) -> tf.Tensor:
        """Weight of each row of a batch in the losses, (b, 2 * budgets) float32.

        The first half weighs real rows (a batch may hold none of a budget's own), the second half
        the generated rows paired with them.
        """
        own = tf.cast(rank[:, None] < tf.constant(self.budgets_)[None, :], tf.float32)
        own_mean = tf.math.divide_no_nan(own, tf.reduce_sum(own, axis=0))
        each = tf.ones_like(own) / tf.cast(tf.shape(own)[0], tf.float32)
        return tf.concat([own_mean, each], axis=1)

    def _losses(
        self,
        rows: tf.Tensor,
        generated: tf.Tensor,
        rank: tf.Tensor,
        group: tf.Tensor,
        weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Contribution of a block to the losses of alarm and gate, summed over budgets.

        Parameters
        ----------
        rows, generated : (b, ...) float32
        rank, group : (b,) int32
            See `_fit`.
        weights : (b, 2 * budgets) float32
            See `_weights`.
        """
        n, experts = tf.shape(rows)[0], len(self.expert_names_)
        both = tf.concat([rows, generated], axis=0)
        log_gate, log_zero, log_one = self._verdict(both, training=True)
        weights = tf.concat(tf.split(weights, 2, axis=1), axis=0)
        right = tf.where(rank[:, None] >= 0, log_one[:n], log_zero[:n])
        right = tf.concat([right, log_one[n:]], axis=0)
        group = tf.concat([group, tf.fill((n,), experts)], axis=0)
        believed = tf.gather(log_gate, group, axis=2, batch_dims=1)
        return -tf.reduce_sum(weights * right), -tf.reduce_sum(weights * believed)

    def _verdict(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Logarithms of the gate weights, of 1 - score and of the score, exact near 0.

        Returns
        -------
        log_gate : (n, budgets, experts + 1) float32
        log_zero, log_one : (n, budgets) float32
            In training their gradient stops at the gate; explanations use all of it.
        """
        shared, own = expert_activations(self.encoder_, self.decoders_, x)
        log_gate = tf.nn.log_softmax(tf.cast(self.gate_(shared, training=training), tf.float32))
        verdicts = tf.cast(self.alarm_([shared, own], training=training), tf.float32)
        verdicts = tf.transpose(verdicts, (0, 2, 1))
        weight = tf.stop_gradient(log_gate) if training else log_gate
        zero = weight[..., :-1] + tf.math.log_sigmoid(-verdicts)
        one = tf.concat([weight[..., :-1] + tf.math.log_sigmoid(verdicts), weight[..., -1:]], -1)
        return log_gate, tf.reduce_logsumexp(zero, axis=-1), tf.reduce_logsumexp(one, axis=-1)

    def _patience(self, rows: Sequence[np.ndarray]) -> Patience | None:
        """Early stopping on both losses of held-out normal rows, as a mean over budgets."""

        def loss(rows: tf.Tensor, rank: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
            log_gate, log_zero, _ = self._verdict(rows, training=False)
            right = tf.gather(log_gate, group, axis=2, batch_dims=1)
            return -tf.reduce_mean(log_zero + right, axis=1)

        variables = self.alarm_.trainable_variables + self.gate_.trainable_variables
        return Patience(self.patience, loss, rows, self.batch_size, variables)

    def gate(self, x: np.ndarray, budget: int | None = None) -> np.ndarray:
        """Weight of each expert for each row.

        Parameters
        ----------
        x : (n, ...) float
        budget : int, optional
            The label budget whose gate is asked; default: the largest.

        Returns
        -------
        (n, experts + 1) float32
            In the order of ``expert_names_``, "anomaly" last; each row adds up to 1.
        """
        self._check_fitted()
        if x.shape[1:] != self.input_shape_:
            raise UserError(f"expected rows of shape {self.input_shape_}, found {x.shape[1:]}")
        copy = self.column_of(budget)
        return predict_in_batches(self._gate_weights, x, self._at_once())[:, copy]

    @cached_property
    def _gate_weights(self) -> Callable:
        """Those of all budgets' gates, (n, budgets, experts + 1)."""

        def weights(rows: tf.Tensor) -> tf.Tensor:
            shared = self.encoder_(rows, training=False)[1]
            return tf.nn.softmax(self.gate_(shared, training=False))

        return row_graph(weights, self.input_shape_)

    def _at_once(self) -> int:
        return chunk_rows(self.decoders_)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return tf.exp(self._verdict(x, training=False)[2])

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        (folder / EXPERTS).write_text(json.dumps(self.expert_names_))

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        self.expert_names_ = tuple(json.loads((folder / EXPERTS).read_text()))
