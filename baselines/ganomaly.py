"""GANomaly (Akcay, Atapour-Abarghouei, Breckon; ACCV 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.adversarial import chain_layers
from libs.architecture.parts import check_image
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import schedule_of, seeded, train
from libs.training.optimisers import Adam
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed

ADVERSARIAL, CONTEXTUAL, ENCODER = 1.0, 50.0, 1.0
"""Weights of the generator's losses (paper, section 4)."""
BETA1 = 0.5
"""Of Adam (paper, section 4)."""
SIDE = 32
"""Images are resized to this side (authors' code)."""


@dataclass(eq=False, repr=False)
class GANomaly(NetworkDetector):
    """Encoder, decoder, encoder, and a discriminator, trained on normal rows.

    The generator minimises the distance of the discriminator's features of rows and
    reconstructions, 50 times the mean absolute error, and the distance of the codes of rows and
    reconstructions. Score: mean squared difference of these two codes, in [0, inf).

    Differences from the code that ARGUE's authors use: the output is a sigmoid, as inputs lie in
    [0, 1], and the given epochs, batch size and learning rate are used.

    Parameters
    ----------
    network : {"dense", "conv"}
        Dense: SELU and dropout. Conv: DCGAN for 28 x 28 images, resized to 32 x 32.
    dims : sequence of int
        Hidden widths from the input to the code (dense) or numbers of filters (conv: 64-128-256).
    code : int
        Width of the codes (100).
    dropout : float
        Rate after every hidden layer of a dense network (.2).
    epochs, batch_size, learning_rate
        Of Adam with β₁ = .5; the authors use 15 epochs with batches of 300 rows at 2e-4.
    random_state : int

    Attributes
    ----------
    encoder_, decoder_, second_encoder_ : keras.Model
        Rows to codes, codes to logits of rows, rows to codes.
    discriminator_ : keras.Model
        Rows to features (n, f) and logits (n, 1), 1 for real rows.
    """

    networks = ("encoder_", "decoder_", "second_encoder_", "discriminator_")

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    code: int = 100
    dropout: float = 0.2
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 2e-4
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "GANomaly", "weights")):
            self._build(x.shape[1:])
        generator = [*self.encoder_.trainable_variables, *self.decoder_.trainable_variables]
        generator += self.second_encoder_.trainable_variables
        generator = Adam(generator, self.learning_rate, BETA1)
        judge = Adam(self.discriminator_.trainable_variables, self.learning_rate, BETA1)

        def step(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape(persistent=True) as tape:
                losses = self._losses(rows)
            generator.minimise(losses[0], tape)
            judge.minimise(losses[1], tape)
            return losses[0]

        return train(step, (x,), name="GANomaly", **schedule_of(self))

    def _build(self, shape: Sequence[int]) -> None:
        """Build the four networks."""
        shape = tuple(shape) if self.network == "dense" else (SIDE, SIDE, shape[-1])
        trunk, head, decoder = lookup(NETWORKS, "network", self.network)(
            shape, tuple(self.dims), self.dropout
        )

        def encoder(name: str) -> keras.Model:
            stack = [keras.Input(shape), *trunk(), head(self.code), layers.Flatten()]
            return keras.Sequential(stack, name=name)

        self.encoder_, self.second_encoder_ = encoder("encoder"), encoder("second_encoder")
        stack = [keras.Input((self.code,)), *decoder]
        self.decoder_ = keras.Sequential(stack, name="decoder")
        rows = keras.Input(shape)
        hidden = chain_layers(rows, trunk())
        outputs = [layers.Flatten()(hidden), layers.Flatten()(head(1)(hidden))]
        self.discriminator_ = keras.Model(rows, outputs, name="discriminator")

    def _losses(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Losses of generator and discriminator."""
        rows = self._resize(rows)
        code = self.encoder_(rows, training=True)
        restored = tf.sigmoid(self.decoder_(code, training=True))
        second = self.second_encoder_(restored, training=True)
        real, real_logits = self.discriminator_(rows, training=True)
        fake, _ = self.discriminator_(restored, training=True)
        generator = ADVERSARIAL * tf.reduce_mean(tf.square(tf.stop_gradient(real) - fake))
        generator += CONTEXTUAL * tf.reduce_mean(tf.abs(rows - restored))
        generator += ENCODER * tf.reduce_mean(tf.square(code - second))
        fake_logits = self.discriminator_(tf.stop_gradient(restored), training=True)[1]
        judged = tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits)
        return generator, tf.reduce_mean(judged)

    def _resize(self, rows: tf.Tensor) -> tf.Tensor:
        return rows if self.network == "dense" else tf.image.resize(rows, (SIDE, SIDE))

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        code = self.encoder_(self._resize(x), training=False)
        restored = tf.sigmoid(self.decoder_(code, training=False))
        difference = code - self.second_encoder_(restored, training=False)
        return tf.reduce_mean(tf.square(difference), axis=1)


def _dense(shape: Sequence[int], dims: Sequence[int], dropout: float) -> tuple:
    def hidden(widths: Sequence[int]) -> list[layers.Layer]:
        pairs = [(layers.Dense(w, activation="selu"), layers.Dropout(dropout)) for w in widths]
        return [layer for pair in pairs for layer in pair]

    output = [layers.Dense(int(np.prod(shape))), layers.Reshape(tuple(shape))]
    return lambda: [layers.Flatten(), *hidden(dims)], layers.Dense, [*hidden(dims[::-1]), *output]


def _conv(shape: Sequence[int], dims: Sequence[int], dropout: float) -> tuple:
    check_image((28, 28, *shape[2:]))

    def block(conv: layers.Layer, norm: bool, activation: layers.Layer) -> list[layers.Layer]:
        return [conv, *([layers.BatchNormalization()] if norm else []), activation]

    def trunk() -> list[layers.Layer]:
        settings = {"strides": 2, "padding": "same"}
        convs = [layers.Conv2D(f, 4, use_bias=i == 0, **settings) for i, f in enumerate(dims)]
        blocks = [block(conv, i > 0, layers.LeakyReLU(0.2)) for i, conv in enumerate(convs)]
        return [layer for b in blocks for layer in b]

    side = SIDE // 2 ** len(dims)
    settings = {"strides": 2, "padding": "same"}
    convs = [layers.Conv2DTranspose(dims[-1], side, use_bias=False)]
    convs += [layers.Conv2DTranspose(f, 4, use_bias=False, **settings) for f in dims[-2::-1]]
    decoder = [layer for conv in convs for layer in block(conv, True, layers.ReLU())]
    decoder += [layers.Conv2DTranspose(shape[-1], 4, **settings)]

    def head(units: int) -> layers.Layer:
        return layers.Conv2D(units, side)

    return trunk, head, [layers.Reshape((1, 1, -1)), *decoder]


NETWORKS = {"dense": _dense, "conv": _conv}
"""Builders of the trunk, of a head with a number of units, and of the decoder."""
