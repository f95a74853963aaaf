"""R2-AD2 on random projections of the gradient: a small, fast, label-balanced alarm network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from libs.architecture.alarm import dense_alarm
from libs.architecture.anomaly import GaussianNoise
from libs.architecture.gradients import SketchedGradients
from libs.detectors.attribution import GRADIENTS
from libs.detectors.network_detector import NetworkDetector
from libs.targets.checkpoints import Checkpoints, first_copies
from libs.training.loop import (
    CHUNK,
    Step,
    gradient_step,
    predict_in_batches,
    row_graph,
    schedule_of,
    seeded,
    train,
)
from libs.training.record import Training
from libs.utils.seeds import derive_seed

FLOOR = 1e-2
"""Lower bound of a feature's standard deviation, as a fraction of the median one."""


@dataclass(eq=False, repr=False)
class R2AD2Sketch(NetworkDetector):
    """R2-AD2 with random projections of the gradients instead of the gradients themselves.

    Checkpoints, loss gradients of single rows, labels and generated rows are those of `R2AD2`.
    What differs:

    - Features are a sketch of each layer's gradients (`SketchedGradients`), computed from their
      factors without forming them: 1,152 numbers instead of 36,036 on NSL-KDD.
    - They are standardised by the mean and standard deviation of the normal training rows. Batch
      normalisation would leave gradients nearly as small as they are, as their variance is far
      below its ε.
    - The alarm is dense: three or four checkpoints need no recurrence.
    - Every batch is balanced: normal rows, generated rows and known anomalies have equal weight.
      The features of known anomalies are computed once.

    Label budgets train together and share everything but their alarm networks. Score: the alarm's
    output, in [0, 1].

    Parameters
    ----------
    target, anomaly, steps, budgets
        See `R2AD2`.
    size : int
        Width of the sketch per layer and checkpoint.
    known_rows : int
        Known anomalies per batch (128), drawn at random if there are more.
    alarm_dims : sequence of int
        Hidden widths of the alarm network.
    dropout : float
        Rate after each of its hidden layers.
    epochs, batch_size, learning_rate
        Of Adam.
    random_state : int

    Attributes
    ----------
    target_ : keras.Model
        See `libs.targets.checkpoints.Checkpoints`.
    alarm_ : keras.Model
        Standardised features (n, width) to logits (n, budgets).
    mean_, std_ : (width,) float32
        Of the normal training rows' sketches.
    """

    networks = ("target_", "alarm_")
    uses_labels = True
    explained_by = GRADIENTS

    target: Checkpoints | None = None
    anomaly: GaussianNoise | None = None
    steps: int = 3
    budgets: Sequence[int] | None = None
    size: int = 64
    known_rows: int = 128
    alarm_dims: Sequence[int] = (200, 75)
    dropout: float = 0.4
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-3
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        self.budgets_ = self._checked_budgets(int(y.sum()))
        self.target_ = self._fitted(self.target or Checkpoints(), x, y).model_
        self._sketch = self._build_sketch()
        normal, known = x[y == 0], x[y == 1]
        self.mean_, self.std_ = self._statistics(normal)
        seed = derive_seed(self.random_state, "R2AD2Sketch", "alarm")
        with seeded(seed):
            self.alarm_ = dense_alarm(
                self._sketch.width,
                self.alarm_dims,
                [self.dropout] * len(self.alarm_dims),
                len(self.budgets_),
                seed,
            )
        return train(self._step(known), (normal,), name="R2AD2Sketch", **schedule_of(self))

    def _build_sketch(self) -> SketchedGradients:
        seed = derive_seed(self.random_state, "R2AD2Sketch", "signs")
        return SketchedGradients(first_copies(self.target_, self.steps), self.size, seed)

    def _statistics(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and bounded standard deviation of the rows' sketches, computed in chunks."""
        sketch = row_graph(self._sketch, x.shape[1:])
        shift = predict_in_batches(sketch, x[:CHUNK], CHUNK).mean(axis=0, dtype=np.float64)
        first, second = np.zeros_like(shift), np.zeros_like(shift)
        for i in range(0, len(x), CHUNK):
            centred = predict_in_batches(sketch, x[i : i + CHUNK], CHUNK) - shift
            first += centred.sum(axis=0)
            second += np.square(centred).sum(axis=0)
        std = np.sqrt(np.maximum(second / len(x) - np.square(first / len(x)), 0))
        floor = FLOOR * np.median(std) or 1.0
        return np.float32(shift + first / len(x)), np.float32(np.maximum(std, floor))

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        """Input of the alarm for rows ``x``, (n, width)."""
        return (self._sketch(x) - self.mean_) / self.std_

    def _step(self, known: np.ndarray) -> Step:
        """Update on normal rows, as many generated ones, and known anomalies."""
        anomaly = self.anomaly or GaussianNoise()
        features = self._features(tf.constant(known)) if len(known) else None
        own = np.arange(len(known))[:, None] < np.array(self.budgets_)

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            n = tf.shape(rows)[0]
            batch = [self._features(tf.concat([rows, anomaly.generate(rows, seed)], axis=0))]
            weight = tf.zeros((0, len(self.budgets_)))
            if features is not None:
                numbers = tf.random.experimental.stateless_shuffle(tf.range(len(known)), seed)
                numbers = numbers[: self.known_rows]
                batch += [tf.gather(features, numbers)]
                weight = tf.gather(tf.cast(own, tf.float32), numbers)
            logits = self.alarm_(tf.concat(batch, axis=0), training=True)
            normal = tf.reduce_mean(tf.nn.softplus(logits[:n]), axis=0)
            generated = tf.reduce_mean(tf.nn.softplus(-logits[n : 2 * n]), axis=0)
            labelled = tf.math.divide_no_nan(
                tf.reduce_sum(weight * tf.nn.softplus(-logits[2 * n :]), axis=0),
                tf.reduce_sum(weight, axis=0),
            )
            return tf.reduce_sum(normal + generated + labelled)

        return gradient_step(loss, self.alarm_.trainable_variables, self.learning_rate)

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        np.savez(folder / "statistics.npz", mean=self.mean_, std=self.std_)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        with np.load(folder / "statistics.npz", allow_pickle=False) as arrays:
            self.mean_, self.std_ = arrays["mean"], arrays["std"]
        self._sketch = self._build_sketch()

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(self.alarm_(self._features(x), training=False))
