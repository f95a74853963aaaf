"""DAGMM: deep autoencoding Gaussian mixture model (Zong et al., ICLR 2018)."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.preprocessing import StandardScaler

from libs.datasets.splits.rows import iterate_blocks
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import CHUNK, gradient_step, row_graph, schedule_of, seeded, train
from libs.training.record import Training
from libs.utils.seeds import derive_seed

log = logging.getLogger("a3")

JITTERS = 10.0 ** np.arange(-6.0, 71.0)
"""Values to add to the diagonal of a covariance; enough for the largest float32 features."""
SMALLEST = 1e-12
"""Lower bound of squared norms and of a component's responsibilities, against 0 / 0."""

Sums = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Σ γ (k,), Σ γ z (k, d), Σ γ z zᵀ (k, d, d) over rows; those of two sets of rows add up."""
Mixture = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Weights φ (k,), means μ (k, d) and covariances Σ (k, d, d), float64."""


@dataclass(eq=False, repr=False)
class DAGMM(NetworkDetector):
    """Gaussian mixture on an autoencoder's code and errors, trained together on normal rows.

    Score: the energy of a row, its negative log-likelihood under the mixture, in (-inf, inf).

    Loss: mean over rows of ‖x - x'‖², a sum over features, + .1 times the mean energy + 1e-4 times
    Σ 1 / diag(Σ_k) (paper, equation 7).

    Differences from the paper: the weight of the covariance penalty is 1e-4 instead of .005, the
    cosine similarity enters as (1 - cosine) / 2, inputs are standardised, and an epoch skips the
    last incomplete batch, as a mixture of a few rows is singular.

    Parameters
    ----------
    dims : sequence of int
        Widths of the compression network from the input to the code, tanh, the code linear (A3:
        60-30-10); the decoder has them in reverse.
    estimation_dims : sequence of int
        Hidden widths of the estimation network, tanh (10).
    components : int
        Gaussians of the mixture (4).
    dropout : float
        Rate before the output of the estimation network (.5).
    energy_weight : float
        λ₁ (.1).
    covariance_weight : float
        λ₂ (1e-4).
    epochs, batch_size, learning_rate
        Of Adam; A3 uses 200 epochs with batches of 1024 rows at 1e-4.
    random_state : int

    Attributes
    ----------
    encoder_, decoder_ : keras.Model
        Standardised flat rows to codes and back.
    estimation_ : keras.Model
        `features` to logits (n, components).
    mean_, scale_ : (features,) float32 arrays
        Of the training rows.
    mixture_ : tuple of float64 arrays
        See `Mixture`; of all training rows, jitter included.
    jitter_ : float
        Largest value added to the diagonal of a covariance, during training or after.
    """

    networks = ("encoder_", "decoder_", "estimation_")

    dims: Sequence[int] = (60, 30, 10)
    estimation_dims: Sequence[int] = (10,)
    components: int = 4
    dropout: float = 0.5
    energy_weight: float = 0.1
    covariance_weight: float = 1e-4
    epochs: int = 200
    batch_size: int = 1024
    learning_rate: float = 1e-4
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        scaler = StandardScaler()
        for block in iterate_blocks(x):
            scaler.partial_fit(block.reshape(len(block), -1))
        self.mean_, self.scale_ = (v.astype(np.float32) for v in (scaler.mean_, scaler.scale_))
        with seeded(derive_seed(self.random_state, "DAGMM", "weights")):
            self._build(len(self.mean_))
        largest = tf.Variable(JITTERS[0])

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            flat, restored, z = self._compress(rows, training=True)
            mixture, jitter = mixture_of(sums(z, self._responsibilities(z, training=True)))
            largest.assign(tf.maximum(largest, jitter))
            error = tf.reduce_mean(tf.reduce_sum(tf.square(flat - restored), axis=1))
            penalty = tf.reduce_sum(1.0 / tf.linalg.diag_part(mixture[2]))
            rest = self.energy_weight * tf.reduce_mean(energy(z, *mixture))
            return error + tf.cast(rest + self.covariance_weight * penalty, tf.float32)

        variables = [v for n in self.networks for v in getattr(self, n).trainable_variables]
        training = train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            name="DAGMM",
            order=self._whole_batches(len(x)),
            **schedule_of(self),
        )
        self._fit_mixture(x, float(largest))
        return training

    def _build(self, features: int) -> None:
        """Build the three networks."""
        *hidden, code = self.dims

        def tanh(widths: Sequence[int]) -> list[layers.Layer]:
            return [layers.Dense(width, activation="tanh") for width in widths]

        encoder = [keras.Input((features,)), *tanh(hidden), layers.Dense(code)]
        decoder = [keras.Input((code,)), *tanh(hidden[::-1]), layers.Dense(features)]
        estimation = [keras.Input((code + 2,)), *tanh(self.estimation_dims)]
        estimation += [layers.Dropout(self.dropout), layers.Dense(self.components)]
        self.encoder_ = keras.Sequential(encoder, name="encoder")
        self.decoder_ = keras.Sequential(decoder, name="decoder")
        self.estimation_ = keras.Sequential(estimation, name="estimation")

    def _whole_batches(self, n: int) -> Callable[[int], np.ndarray]:
        """Make random orders of the rows without the last incomplete batch."""
        used = max(n - n % self.batch_size, min(n, self.batch_size))

        def order(epoch: int) -> np.ndarray:
            rng = np.random.default_rng(derive_seed(self.random_state, "DAGMM", epoch))
            return rng.permutation(n)[:used]

        return order

    def _compress(self, x: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Rows standardised and flat, their reconstructions, and their `features`."""
        flat = (tf.reshape(x, (-1, len(self.mean_))) - self.mean_) / self.scale_
        code = self.encoder_(flat, training=training)
        restored = self.decoder_(code, training=training)
        return flat, restored, features(flat, restored, code)

    def _responsibilities(self, z: tf.Tensor, training: bool) -> tf.Tensor:
        """Responsibilities γ of the components for each row, float64 (n, components)."""
        return tf.nn.softmax(tf.cast(self.estimation_(z, training=training), tf.float64))

    def _fit_mixture(self, x: np.ndarray, jitter: float) -> None:
        """Estimate the mixture of all training rows; ``jitter`` is the largest used in training."""

        def chunk_sums(rows: tf.Tensor) -> Sums:
            z = self._compress(rows, training=False)[2]
            return sums(z, self._responsibilities(z, training=False))

        graph = row_graph(chunk_sums, x.shape[1:])
        parts = [graph(tf.constant(x[i : i + CHUNK])) for i in range(0, len(x), CHUNK)]
        mixture, last = mixture_of([sum(part) for part in zip(*parts, strict=True)])
        self.mixture_ = tuple(np.asarray(v) for v in mixture)
        if not np.isfinite(tf.linalg.cholesky(mixture[2])).all():
            raise ArithmeticError("DAGMM: a covariance of the mixture is not positive definite")
        self.jitter_ = max(jitter, float(last))
        if self.jitter_ > JITTERS[0]:
            log.warning(
                "DAGMM: a covariance was nearly singular; up to %.0e was added to its diagonal "
                "instead of %.0e",
                self.jitter_,
                JITTERS[0],
            )

    def _save(self, folder: Path) -> None:
        super()._save(folder)
        weights, means, covariances = self.mixture_
        np.savez(
            folder / "mixture.npz",
            weights=weights,
            means=means,
            covariances=covariances,
            mean=self.mean_,
            scale=self.scale_,
            jitter=self.jitter_,
        )

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        with np.load(folder / "mixture.npz", allow_pickle=False) as arrays:
            self.mixture_ = tuple(arrays[k] for k in ("weights", "means", "covariances"))
            self.mean_, self.scale_ = arrays["mean"], arrays["scale"]
            self.jitter_ = float(arrays["jitter"])

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return energy(self._compress(x, training=False)[2], *self.mixture_)


def features(x: tf.Tensor, restored: tf.Tensor, code: tf.Tensor) -> tf.Tensor:
    """Input of the mixture: the code of a row and two reconstruction errors.

    These are the relative Euclidean distance ‖x - x'‖ / ‖x‖ and (1 - cos(x, x')) / 2, in [0, 1]
    (paper, section 3.2, which takes the cosine itself).

    Parameters
    ----------
    x, restored : (n, features) float
    code : (n, c) float

    Returns
    -------
    (n, c + 2) float
    """

    def norm(v: tf.Tensor) -> tf.Tensor:
        # bounded inside the root, whose gradient at 0 is infinite
        return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(v), axis=1), SMALLEST))

    distance = norm(x - restored) / norm(x)
    cosine = tf.reduce_sum(x * restored, axis=1) / (norm(x) * norm(restored))
    return tf.concat([code, distance[:, None], 0.5 * (1.0 - cosine)[:, None]], axis=1)


def sums(z: tf.Tensor, responsibilities: tf.Tensor) -> Sums:
    """Sums over rows that determine a mixture, float64.

    Parameters
    ----------
    z : (n, d) float
    responsibilities : (n, k) float64
        γ; each row adds up to 1.
    """
    z = tf.cast(z, tf.float64)
    second = tf.einsum("nk,ni,nj->kij", responsibilities, z, z)
    first = tf.matmul(responsibilities, z, transpose_a=True)
    return tf.reduce_sum(responsibilities, axis=0), first, second


def mixture_of(sums: Sums) -> tuple[Mixture, tf.Tensor]:
    """Mixture with the given sums (paper, equation 5), and the largest jitter, float64 ().

    1e-6 is added to the diagonal of every covariance or, if Cholesky's decomposition would still
    fail, the first of 1e-5, 1e-4, ... with which it works: the smallest eigenvalue must exceed the
    rounding error of the largest.
    """
    total, first, second = sums
    total = tf.maximum(total, SMALLEST)
    means = first / total[:, None]
    covariances = second / total[:, None, None] - means[:, :, None] * means[:, None, :]
    d = covariances.shape[-1]
    # a diverged training has no eigenvalues; its loss is not finite, which train() reports
    finite = tf.where(tf.math.is_finite(covariances), covariances, 0.0)
    eigenvalues = tf.linalg.eigvalsh(tf.stop_gradient(finite))
    needed = d * np.finfo(np.float64).eps * eigenvalues[:, -1] - eigenvalues[:, 0]
    jitter = tf.gather(JITTERS, tf.searchsorted(JITTERS, needed))
    covariances += jitter[:, None, None] * tf.eye(d, dtype=tf.float64)
    return (total / tf.reduce_sum(total), means, covariances), tf.reduce_max(jitter)


def energy(z: tf.Tensor, weights: tf.Tensor, means: tf.Tensor, covariances: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of each row under a mixture (paper, equation 6), float64 (n,).

    Parameters
    ----------
    z : (n, d) float
    weights, means, covariances
        See `Mixture`; the covariances are positive definite.
    """
    factor = tf.linalg.cholesky(covariances)
    away = tf.cast(z, tf.float64)[None, :, :] - means[:, None, :]
    solved = tf.linalg.triangular_solve(factor, tf.transpose(away, (0, 2, 1)))
    distance = tf.reduce_sum(tf.square(solved), axis=1)
    log_determinant = 2.0 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)), axis=1)
    constant = means.shape[-1] * math.log(2.0 * math.pi)
    log_density = -0.5 * (distance + (log_determinant + constant)[:, None])
    return -tf.reduce_logsumexp(tf.math.log(weights)[:, None] + log_density, axis=0)
