"""BiGAN (Donahue et al., ICLR 2017), as a detector (Zenati et al., 2018)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import schedule_of, seeded, train
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed


@dataclass(eq=False, repr=False)
class BiGAN(NetworkDetector):
    """Encoder and generator against a discriminator of pairs (code, row), on normal rows.

    Score: (1 - w)·‖x - G(E(x))‖₁ + w·term, in [0, inf); the term grows the less the discriminator
    believes that the row is real.

    Each step updates the discriminator, then encoder and generator. deepad's published
    figures come from other settings: ``epochs=15, batches=1, batch_size=256, learning_rate=.01,
    beta_1=.9, weight=0``, which is 15 updates of an untrained network. Its discriminator term was a
    mean over the batch, which cannot change a ranking.

    Parameters
    ----------
    code : int
        Width of the code, whose prior is N(0, I) (deepad: 2).
    dims : sequence of int
        Hidden widths of the encoder (LeakyReLU .2), of the discriminator (LeakyReLU .1) and, in
        reverse, of the generator (ReLU); deepad: 128.
    dropout : float
        In the discriminator, on both inputs and before the output (.2).
    weight : float
        w (.1).
    score : {"cross-entropy", "features"}
        The term: -log D(E(x), x), or ‖f(E(x), x) - f(E(x), G(E(x)))‖₁
        of the discriminator's last hidden layer f (Zenati et al. name both).
    epochs, batch_size, learning_rate, beta_1
        Adam (15 epochs of 128 rows at 1e-4 with β₁ = .5).
    batches : int, optional
        Random batches per epoch; default: one pass over all rows.
    random_state : int

    Attributes
    ----------
    encoder_, generator_ : keras.Model
        Rows to codes; codes to rows in [0, 1].
    discriminator_ : keras.Model
        Codes and flat rows to its last hidden layer and to logits (n, 1).
    """

    networks = ("encoder_", "generator_", "discriminator_")

    code: int = 2
    dims: Sequence[int] = (128,)
    dropout: float = 0.2
    weight: float = 0.1
    score: str = "cross-entropy"
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-4
    beta_1: float = 0.5
    batches: int | None = None
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        lookup(TERMS, "score", self.score)
        with seeded(derive_seed(self.random_state, "BiGAN", "weights")):
            self._build(x.shape[1:])
        both = self.encoder_.trainable_variables + self.generator_.trainable_variables
        judge = Adam(self.discriminator_.trainable_variables, self.learning_rate, self.beta_1)
        maker = Adam(both, self.learning_rate, self.beta_1)

        def step(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            z = tf.random.stateless_normal((tf.shape(rows)[0], self.code), seed)
            with tf.GradientTape() as tape:
                real, made = self._logits(rows, z)
                loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(made))
            judge.minimise(loss, tape)
            with tf.GradientTape() as tape:
                real, made = self._logits(rows, z)
                turned = tf.reduce_mean(tf.nn.softplus(real)) + tf.reduce_mean(
                    tf.nn.softplus(-made)
                )
            maker.minimise(turned, tape)
            return loss  # the discriminator's: 2·log 2 if it cannot tell them apart

        return train(
            step,
            (x,),
            name="BiGAN",
            order=partial(self._random_batches, len(x)) if self.batches else None,
            **schedule_of(self),
        )

    def _build(self, shape: tuple[int, ...]) -> None:
        """Build the three networks."""
        features = math.prod(shape)

        def hidden(widths: Sequence[int], slope: float) -> list[layers.Layer]:
            pairs = [(layers.Dense(width), layers.LeakyReLU(slope)) for width in widths]
            return [layer for pair in pairs for layer in pair]

        encoder = [keras.Input(shape), layers.Flatten(), *hidden(self.dims, 0.2)]
        generator = [keras.Input((self.code,))]
        generator += [layers.Dense(width, activation="relu") for width in reversed(self.dims)]
        generator += [layers.Dense(features, activation="sigmoid"), layers.Reshape(shape)]
        inputs = [keras.Input((self.code,)), keras.Input((features,))]
        joined = layers.Concatenate()([layers.Dropout(self.dropout)(part) for part in inputs])
        for layer in [*hidden(self.dims, 0.1), layers.Dropout(self.dropout)]:
            joined = layer(joined)
        self.encoder_ = keras.Sequential([*encoder, layers.Dense(self.code)], name="encoder")
        self.generator_ = keras.Sequential(generator, name="generator")
        outputs = [joined, layers.Dense(1)(joined)]
        self.discriminator_ = keras.Model(inputs, outputs, name="discriminator")

    def _logits(self, rows: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits of the discriminator for (E(x), x) and (z, G(z)), in training."""
        real = self._discriminate(self.encoder_(rows, training=True), rows, training=True)
        made = self._discriminate(z, self.generator_(z, training=True), training=True)
        return real[1], made[1]

    def _discriminate(
        self, code: tf.Tensor, rows: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The discriminator's last hidden layer (n, width) and its logits (n, 1)."""
        flat = tf.reshape(rows, (tf.shape(rows)[0], math.prod(rows.shape[1:])))
        return self.discriminator_([code, flat], training=training)

    def _random_batches(self, n: int, epoch: int) -> np.ndarray:
        """Draw the rows of an epoch of ``batches`` batches, with replacement."""
        rng = np.random.default_rng(derive_seed(self.random_state, "BiGAN", "rows", epoch))
        return rng.integers(n, size=self.batches * self.batch_size)

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        code = self.encoder_(x, training=False)
        restored = self.generator_(code, training=False)
        distance = tf.reduce_sum(tf.abs(x - restored), axis=list(range(1, len(x.shape))))
        term = TERMS[self.score](self, code, x, restored)
        return (1.0 - self.weight) * distance + self.weight * term

    def _cross_entropy(self, code: tf.Tensor, x: tf.Tensor, restored: tf.Tensor) -> tf.Tensor:
        return tf.nn.softplus(-self._discriminate(code, x)[1][:, 0])

    def _feature_distance(self, code: tf.Tensor, x: tf.Tensor, restored: tf.Tensor) -> tf.Tensor:
        difference = self._discriminate(code, x)[0] - self._discriminate(code, restored)[0]
        return tf.reduce_sum(tf.abs(difference), axis=1)


TERMS = {"cross-entropy": BiGAN._cross_entropy, "features": BiGAN._feature_distance}
