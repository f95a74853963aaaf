"""REPEN: representation learning for nearest-neighbour detectors (Pang et al., KDD 2018)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import CHUNK, gradient_step, predict_in_batches, row_graph, seeded, train
from libs.training.optimisers import adadelta
from libs.training.record import Training
from libs.utils.seeds import derive_seed

SUBSAMPLES, SUBSAMPLE_ROWS = 50, 8
"""Of LeSiNN (paper, section 5.1)."""
MARGIN = 1000.0
"""Margin between squared distances of outliers and inliers (paper, section 5.1)."""
CUTOFF = math.sqrt(3)
"""Standard deviations above the mean score from which rows are candidates (paper, section 4.2)."""


@dataclass(eq=False, repr=False)
class REPEN(NetworkDetector):
    """An embedding in which the nearest neighbours of likely outliers are far away.

    LeSiNN, the mean distance to the nearest row of 50 random sub-samples of 8, scores the normal
    rows. Those above the cut-off are outlier candidates. Triplets of two likely inliers and a
    candidate, drawn by their scores, train the embedding with a hinge loss. Score: LeSiNN in the
    embedding, in [0, inf). Its sub-samples are training rows; nothing is learned from test rows.

    Parameters
    ----------
    width : int
        Of the embedding, ReLU (20).
    batches : int
        Updates in an epoch (50).
    epochs, batch_size, learning_rate
        Of Adadelta; the paper uses 30 epochs with batches of 256 triplets. In Zeiler's method the
        learning rate is 1.
    random_state : int

    Attributes
    ----------
    model_ : keras.Model
        Rows to embeddings.
    references_ : (400, ...) float32
        The rows of all sub-samples.
    """

    networks = ("model_",)

    width: int = 20
    batches: int = 50
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1.0
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        rng = np.random.default_rng(derive_seed(self.random_state, "REPEN", "references"))
        self.references_ = x[rng.integers(0, len(x), SUBSAMPLES * SUBSAMPLE_ROWS)]
        with seeded(derive_seed(self.random_state, "REPEN", "weights")):
            stack = [keras.Input(x.shape[1:]), layers.Flatten()]
            stack += [layers.Dense(self.width, activation="relu")]
            self.model_ = keras.Sequential(stack, name="repen")

        def first_scores(rows: tf.Tensor) -> tf.Tensor:
            return lesinn(rows, tf.constant(self.references_))

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            anchor, inlier, outlier = tf.split(self.model_(rows, training=True), 3)
            near = tf.reduce_sum(tf.square(anchor - inlier), axis=1)
            far = tf.reduce_sum(tf.square(anchor - outlier), axis=1)
            return tf.reduce_mean(tf.nn.relu(MARGIN + near - far))

        return train(
            gradient_step(loss, self.model_.trainable_variables, self.learning_rate, adadelta),
            (x,),
            batch_size=3 * self.batch_size,
            epochs=self.epochs,
            seed=self.random_state,
            name="REPEN",
            order=self._triplets(
                predict_in_batches(row_graph(first_scores, x.shape[1:]), x, CHUNK)
            ),
        )

    def _triplets(self, scores: np.ndarray) -> Callable[[int], np.ndarray]:
        """Make row numbers of an epoch: per batch anchors, inliers, and outlier candidates.

        Candidates are drawn in proportion to their scores, the others in proportion to the distance
        of their scores from the highest.
        """
        scores = scores.astype(np.float64)
        # equal scores exceed no cut-off, so the highest is always a candidate
        cutoff = min(scores.mean() + CUTOFF * scores.std(), scores.max())
        outliers, inliers = np.flatnonzero(scores >= cutoff), np.flatnonzero(scores < cutoff)
        if not len(inliers):
            inliers = outliers
        far, near = scores[outliers], scores.max() - scores[inliers]
        shape = (self.batches, self.batch_size)

        def order(epoch: int) -> np.ndarray:
            rng = np.random.default_rng(derive_seed(self.random_state, "REPEN", epoch))

            def draw(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
                probabilities = weights / weights.sum() if weights.any() else None
                return rng.choice(rows, shape, p=probabilities)

            parts = [draw(inliers, near), draw(inliers, near), draw(outliers, far)]
            return np.concatenate(parts, axis=1).reshape(-1)

        return order

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        references = self.model_(tf.constant(self.references_), training=False)
        return lesinn(self.model_(x, training=False), references)

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        np.savez(folder / "references.npz", rows=self.references_)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        with np.load(folder / "references.npz", allow_pickle=False) as arrays:
            self.references_ = arrays["rows"]


def lesinn(x: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
    """Mean distance to the nearest row of each sub-sample (Pang et al., ICDMW 2015), float64 (n,).

    Parameters
    ----------
    x : (n, ...) float
    references : (SUBSAMPLES * SUBSAMPLE_ROWS, ...) float
        One sub-sample after the other.
    """
    # squared distances are small differences of large numbers: float64
    flat = (tf.reshape(v, (tf.shape(v)[0], -1)) for v in (x, references))
    x, references = (tf.cast(v, tf.float64) for v in flat)
    squares = tf.reduce_sum(tf.square(x), axis=1)[:, None] + tf.reduce_sum(references**2, axis=1)
    squares -= 2.0 * tf.matmul(x, references, transpose_b=True)
    squares = tf.reshape(squares, (-1, SUBSAMPLES, SUBSAMPLE_ROWS))
    return tf.reduce_mean(tf.sqrt(tf.maximum(tf.reduce_min(squares, axis=2), 0.0)), axis=1)
