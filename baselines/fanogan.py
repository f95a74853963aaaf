"""f-AnoGAN: fast anomaly detection by a generative adversarial network (Schlegl et al., 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.adversarial import (
    Layers,
    chain_layers,
    conv_decoder,
    conv_trunk,
    dense_decoder,
    dense_trunk,
)
from libs.architecture.parts import check_image
from libs.architecture.target import row_error
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import Step, gradient_step, schedule_of, seeded, train
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed

PENALTY = 10.0
"""Weight of the critic's gradient penalty (Gulrajani et al., 2017)."""
KAPPA = 1.0
"""κ, weight of the feature error (paper, equation 4)."""


@dataclass(eq=False, repr=False)
class FAnoGAN(NetworkDetector):
    """A Wasserstein GAN of normal rows, then an encoder into its latent space.

    First, generator and critic train against each other, one step each, with a gradient penalty.
    Then both are frozen and the encoder minimises the score of normal rows: the mean squared error
    of G(E(x)) plus κ times that of the critic's features, in [0, inf).

    Differences from ARGUE's authors' code: the gradient penalty, a linear critic instead of one
    that ends in a sigmoid, and no batch normalisation in the critic, which would make a row's
    gradient depend on other rows.

    Parameters
    ----------
    network : {"dense", "conv"}
        The shapes of ARGUE's adversarial autoencoder; see `libs.architecture.adversarial`.
    dims : sequence of int
        Widths from the input to the features (dense); conv has 32-16-8 filters and 8 features.
    latent : int
        Width of the latent space (8).
    epochs, batch_size, learning_rate
        Of Adam, in each of the two trainings; ARGUE uses 500 epochs at 1e-4.
    random_state : int

    Attributes
    ----------
    generator_ : keras.Model
        (n, latent) to logits of rows.
    critic_ : keras.Model
        Rows to features (n, f) and scores (n, 1).
    encoder_ : keras.Model
        Rows to (n, latent).
    """

    networks = ("generator_", "critic_", "encoder_")

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    latent: int = 8
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-4
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "FAnoGAN", "weights")):
            self._build(x.shape[1:])

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(self._errors(rows, training=True))

        adversarial = self._adversarial_step()
        encoding = gradient_step(loss, self.encoder_.trainable_variables, self.learning_rate)
        steps = (("FAnoGAN", adversarial), ("FAnoGAN encoder", encoding))
        trainings = [train(step, (x,), name=name, **schedule_of(self)) for name, step in steps]
        updates, seconds = (sum(getattr(t, k) for t in trainings) for k in ("updates", "seconds"))
        return Training(len(x), self.epochs, updates, seconds, trainings[1].losses)

    def _build(self, shape: Sequence[int]) -> None:
        """Build the three networks."""
        trunk, code, decoder = lookup(SHAPES, "network", self.network)(shape, tuple(self.dims))
        start = [keras.Input((self.latent,)), layers.Dense(int(np.prod(code)))]
        stack = [*start, layers.Reshape(code), *decoder]
        self.generator_ = keras.Sequential(stack, name="generator")
        rows = keras.Input(tuple(shape))
        features = chain_layers(rows, [*trunk(batch_norm=False), layers.Flatten()])
        scores = layers.Dense(1, use_bias=False)(features)
        self.critic_ = keras.Model(rows, [features, scores], name="critic")
        stack = [*trunk(batch_norm=True), layers.Flatten(), layers.Dense(self.latent)]
        self.encoder_ = keras.Sequential([keras.Input(tuple(shape)), *stack], name="encoder")

    def _adversarial_step(self) -> Step:
        """Update critic and generator, each against the other's old weights."""
        critic = Adam(self.critic_.trainable_variables, self.learning_rate)
        generator = Adam(self.generator_.trainable_variables, self.learning_rate)

        def step(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            n = tf.shape(rows)[0]
            latent_seed, mix_seed = tf.unstack(tf.random.split(seed, 2))
            latent = tf.random.stateless_normal((n, self.latent), latent_seed)
            mix = tf.random.stateless_uniform((n, *[1] * (len(rows.shape) - 1)), mix_seed)
            with tf.GradientTape(persistent=True) as tape:
                fake = tf.sigmoid(self.generator_(latent, training=True))
                fooled = tf.reduce_mean(self.critic_(fake)[1])
                distance = tf.reduce_mean(self.critic_(rows)[1]) - fooled
                penalty = self._penalty(rows + mix * (tf.stop_gradient(fake) - rows))
                wrong, displeasure = PENALTY * penalty - distance, -fooled
            critic.minimise(wrong, tape)
            generator.minimise(displeasure, tape)
            return wrong

        return step

    def _penalty(self, between: tf.Tensor) -> tf.Tensor:
        """Penalty on critic gradients between real and generated rows whose norm is not 1."""
        with tf.GradientTape() as tape:
            tape.watch(between)
            scores = self.critic_(between)[1]
        slope = tape.gradient(scores, between)
        squares = tf.reduce_sum(tf.square(slope), axis=list(range(1, len(slope.shape))))
        return tf.reduce_mean(tf.square(tf.sqrt(squares + 1e-12) - 1.0))

    def _errors(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Score of each row; ``training`` applies to the encoder only, as the others are frozen."""
        latent = self.encoder_(x, training=training)
        restored = tf.sigmoid(self.generator_(latent, training=False))
        features = self.critic_(x)[0] - self.critic_(restored)[0]
        return row_error(x, restored) + KAPPA * tf.reduce_mean(tf.square(features), axis=1)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        return self._errors(x, training=False)


def _dense(shape: Sequence[int], dims: Sequence[int]) -> tuple:
    def trunk(batch_norm: bool) -> Layers:
        return [*dense_trunk(dims[:-1], batch_norm), layers.Dense(dims[-1], use_bias=batch_norm)]

    return trunk, (dims[-1],), dense_decoder(shape, dims[:-1])


def _conv(shape: Sequence[int], dims: Sequence[int]) -> tuple:
    check_image(shape)

    def trunk(batch_norm: bool) -> Layers:
        features = layers.Conv2D(8, 3, strides=2, use_bias=batch_norm)
        return [*conv_trunk((32, 16, 8), batch_norm), features]

    return trunk, (1, 1, 8), conv_decoder(shape, (8, 16, 32), batch_norm=True)


SHAPES = {"dense": _dense, "conv": _conv}
"""Makers of (encoder layers, shape of a code, decoder). The critic is an encoder without batch
normalisation, and without a bias of its features, which no loss would move."""
