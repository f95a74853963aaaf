"""Sequence-to-sequence autoencoder (Sutskever et al., 2014) on a row's features, one by one."""

import math
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.detectors.attribution import ERRORS
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import gradient_step, schedule_of, seeded, train
from libs.training.record import Training
from libs.utils.seeds import derive_seed

UNROLLED = 64
"""Sequences up to this length are unrolled, which trains faster than a loop."""


@dataclass(eq=False, repr=False)
class Seq2Seq(NetworkDetector):
    """LSTM encoder and decoder of the features as a sequence of numbers, on normal rows.

    The encoder reads a row in both directions; from its state the decoder predicts the row. Before
    each number the decoder is given the true previous one in training (teacher forcing) and its own
    in scoring. Score: mean squared error of the prediction, in [0, 1] for rows in [0, 1].

    The order of the features matters, but is arbitrary in tables.

    Parameters
    ----------
    units : int
        Units of the encoder in each direction (10); the decoder has twice as many.
    dropout : float
        Rate on the inputs of both (.2).
    given_first : bool
        As in deepad, whose published figures depend on it: the decoder starts from the true first
        number, which thus counts as restored without error, and learns to predict it again after
        the last. Otherwise it starts from 0 and predicts all numbers.
    epochs, batch_size, learning_rate
        Of Adam on the squared error; deepad uses 40 epochs with batches of 256 rows at .01.
    random_state : int

    Attributes
    ----------
    encoder_ : keras.Model
        Sequences (n, features, 1) to the decoder's state, two of (n, 2 * units).
    decoder_ : keras.Model
        Previous numbers (n, features, 1) and a state to numbers (n, features, 1) in [0, 1].
    """

    networks = ("encoder_", "decoder_")
    explained_by = ERRORS

    units: int = 10
    dropout: float = 0.2
    given_first: bool = False
    epochs: int = 40
    batch_size: int = 256
    learning_rate: float = 1e-2
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "Seq2Seq", "weights")):
            self._build(math.prod(x.shape[1:]))

        def loss(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            true = self._sequences(rows)
            before, wanted = tf.concat([tf.zeros_like(true[:, :1]), true[:, :-1]], axis=1), true
            if self.given_first:
                before, wanted = true, tf.roll(true, -1, axis=1)
            state = self.encoder_(true, training=True)
            said = self.decoder_([before, *state], training=True)
            return tf.reduce_mean(tf.square(wanted - said))

        variables = self.encoder_.trainable_variables + self.decoder_.trainable_variables
        return train(
            gradient_step(loss, variables, self.learning_rate),
            (x,),
            name="Seq2Seq",
            **schedule_of(self),
        )

    def _build(self, length: int) -> None:
        """Build the two networks."""
        options = {"dropout": self.dropout, "unroll": length <= UNROLLED}
        sequence = keras.Input((length, 1))
        both_ways = layers.Bidirectional(layers.LSTM(self.units, return_state=True, **options))
        _, h, c, h_back, c_back = both_ways(sequence)
        state = [layers.Concatenate()([h, h_back]), layers.Concatenate()([c, c_back])]
        self.encoder_ = keras.Model(sequence, state, name="encoder")
        width = 2 * self.units
        inputs = [keras.Input((length, 1)), keras.Input((width,)), keras.Input((width,))]
        lstm = layers.LSTM(width, return_sequences=True, name="lstm", **options)
        said = lstm(inputs[0], initial_state=inputs[1:])
        output = layers.Dense(1, activation="sigmoid", name="number")(said)
        self.decoder_ = keras.Model(inputs, output, name="decoder")

    def _sequences(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, (tf.shape(x)[0], math.prod(x.shape[1:]), 1))

    def _error(self, x: tf.Tensor) -> tf.Tensor:
        true = self._sequences(x)
        return tf.reshape(tf.square(true - self._predict_steps(true)), tf.shape(x))

    def _predict_steps(self, true: tf.Tensor) -> tf.Tensor:
        """Predictions of the decoder from its own outputs, (n, features, 1)."""
        cell, number = self.decoder_.get_layer("lstm").cell, self.decoder_.get_layer("number")
        h, c = self.encoder_(true, training=False)
        last = true[:, 0] if self.given_first else tf.zeros_like(true[:, 0])
        given = int(self.given_first)
        said = tf.TensorArray(tf.float32, size=true.shape[1])
        if given:
            said = said.write(0, last)

        def say(i: tf.Tensor, last: tf.Tensor, h: tf.Tensor, c: tf.Tensor, said: tf.TensorArray):
            _, (h, c) = cell(last, [h, c], training=False)
            last = number(h)
            return i + 1, last, h, c, said.write(i, last)

        state = (given, last, h, c, said)
        said = tf.while_loop(lambda i, *_: i < true.shape[1], say, state)[-1]
        return tf.transpose(said.stack(), (1, 0, 2))
