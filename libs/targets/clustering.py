"""A clustering that divides normal rows without classes among ARGUE's experts."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from libs.architecture.adversarial import CLUSTERINGS, clustering_autoencoder, critic
from libs.detectors.attribution import ERRORS
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import (
    CHUNK,
    Step,
    predict_in_batches,
    row_graph,
    schedule_of,
    seeded,
    train,
)
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed

CLIP_NORM = 0.01
"""Bound on the gradients of the critics, and of the encoder against them (authors' code)."""


@dataclass(eq=False, repr=False)
class AdversarialClustering(NetworkDetector):
    """Adversarial autoencoder with a categorical code, the clusters of A4RGUE (authors' code).

    An update makes three steps in turn: encoder and decoder reconstruct (binary cross-entropy);
    two Wasserstein critics learn to tell the codes of rows from N(0, 1), and their clusters from
    uniform one-hot vectors; the encoder learns to deceive the critics. Score: mean squared error of
    the reconstruction, in [0, inf).

    Difference from the authors' code: it sees normal rows only, not the known anomalies.

    Parameters
    ----------
    network : {"dense", "conv"}
        See `libs.architecture.adversarial.clustering_autoencoder`.
    dims : sequence of int
        Hidden widths (dense); the last one, of the code, is ``code`` instead.
    clusters : int
        Number of clusters (5); some may stay empty.
    code : int
        Width of the continuous code (2).
    epochs, batch_size, learning_rate
        Adam; the paper takes 500 epochs at 1e-5.
    random_state : int

    Attributes
    ----------
    encoder_, decoder_ : keras.Model
        Rows to codes and probabilities of clusters; both codes, joined, to logits of rows.
    """

    networks = ("encoder_", "decoder_")
    explained_by = ERRORS

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    clusters: int = 5
    code: int = 2
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-5
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        lookup(CLUSTERINGS, "network", self.network)
        with seeded(derive_seed(self.random_state, "AdversarialClustering", "weights")):
            self.encoder_, self.decoder_ = clustering_autoencoder(
                self.network, x.shape[1:], tuple(self.dims), self.code, self.clusters
            )
            critics = [critic(self.code), critic(self.clusters)]
        return train(self._step(critics), (x,), name="AdversarialClustering", **schedule_of(self))

    def _step(self, critics: Sequence[keras.Model]) -> Step:
        """Update reconstruction, critics and encoder, each with the latest weights."""
        encoder, rate = self.encoder_.trainable_variables, self.learning_rate
        reconstruction = Adam(encoder + self.decoder_.trainable_variables, rate)
        judging = [Adam(c.trainable_variables, rate, clip_norm=CLIP_NORM) for c in critics]
        pleasing = Adam(encoder, rate, clip_norm=CLIP_NORM)

        def step(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                codes = tf.concat(self.encoder_(rows, training=True), axis=1)
                logits = self.decoder_(codes, training=True)
                loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(rows, logits))
            reconstruction.minimise(loss, tape)
            real = self._real_codes(tf.shape(rows)[0], seed)
            fake = self.encoder_(rows, training=False)
            for judge, adam, r, f in zip(critics, judging, real, fake, strict=True):
                with tf.GradientTape() as tape:
                    wrong = tf.reduce_mean(judge(f)) - tf.reduce_mean(judge(r))
                adam.minimise(wrong, tape)
            with tf.GradientTape() as tape:
                fake = self.encoder_(rows, training=True)
                pairs = zip(critics, fake, strict=True)
                displeasure = -tf.add_n([tf.reduce_mean(judge(f)) for judge, f in pairs])
            pleasing.minimise(displeasure, tape)
            return loss

        return step

    def _real_codes(self, n: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw real codes for the critics: N(0, 1), and one-hot vectors of uniform clusters."""
        code_seed, cluster_seed = tf.unstack(tf.random.split(seed, 2))
        codes = tf.random.stateless_normal((n, self.code), code_seed)
        chosen = tf.random.stateless_uniform((n,), cluster_seed, 0, self.clusters, tf.int32)
        return codes, tf.one_hot(chosen, self.clusters)

    def affinity(self, x: np.ndarray) -> np.ndarray:
        """Probability of each cluster, float32 (n, clusters)."""
        return predict_in_batches(
            row_graph(lambda rows: self.encoder_(rows, training=False)[1], x.shape[1:]), x, CHUNK
        )

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        codes = tf.concat(self.encoder_(x, training=False), axis=1)
        return tf.square(x - tf.sigmoid(self.decoder_(codes, training=False)))
