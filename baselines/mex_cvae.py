"""MEx-CVAE(C): a mixture of experts with (convolutional) variational autoencoders (Yu et al.)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.parts import check_hidden, check_image
from libs.architecture.target import row_error
from libs.detectors.network_detector import NetworkDetector
from libs.training.loop import gradient_step, schedule_of, seeded, train
from libs.training.optimisers import rmsprop
from libs.training.record import Training
from libs.utils.errors import lookup
from libs.utils.seeds import derive_seed

PRIOR_MEAN = 0.5
"""Mean of the prior N(.5, 1) of the codes of normal rows (ARGUE's authors' code)."""
GATE_CODE = 4
"""Width of the gate's code: weights of the four codes that the two towers read."""


@dataclass(eq=False, repr=False)
class MExCVAE(NetworkDetector):
    """Two variational experts, a gate, and two towers that learn to output 0 for normal rows.

    An expert encodes a row, decodes the code, and encodes the reconstruction. The gate is an
    autoencoder whose code weighs the experts' codes z₁ (of the row) and z₂ (of the reconstruction)
    for the towers t₁ and t₂. Score: .4 (S₁ + S₂) + .1 (t₁² + t₂²) with S = .6 times the mean
    squared error of the row + .4 times that of the features beside the code, in [0, inf).

    Errors of ARGUE's authors' code corrected here: the second expert's divergence uses its own
    code, not that of the first; the divergence is between the code's distribution, with a mean and
    variance per row, and N(.5, 1), not that of unnormalised codes; and training runs in training
    mode, with dropout and batch statistics.

    Parameters
    ----------
    network : {"dense", "conv"}
        Conv: 32-64-128 filters for 28 x 28 images, and a code of 500.
    dims : sequence of int
        Widths from the input to the code (dense); conv ignores them.
    dropout : float
        After every hidden layer (.1).
    epochs, batch_size, learning_rate
        Of RMSprop; ARGUE uses 500 epochs at 1e-4.
    random_state : int

    Attributes
    ----------
    expert_1_, expert_2_ : keras.Model
        See `_expert`.
    gate_ : keras.Model
        See `_autoencoder`.
    towers_ : keras.Model
        Two weighted codes to t₁ and t₂, (n, 1) each.
    """

    networks = ("expert_1_", "expert_2_", "gate_", "towers_")

    network: str = "dense"
    dims: Sequence[int] = (200, 100, 50, 25)
    dropout: float = 0.1
    epochs: int = 500
    batch_size: int = 256
    learning_rate: float = 1e-4
    random_state: int = 0

    def _fit(self, x: np.ndarray, y: np.ndarray) -> Training:
        with seeded(derive_seed(self.random_state, "MExCVAE", "weights")):
            self._build(x.shape[1:])
        variables = [v for name in self.networks for v in getattr(self, name).trainable_variables]
        return train(
            gradient_step(self._loss, variables, self.learning_rate, rmsprop),
            (x,),
            name="MExCVAE",
            **schedule_of(self),
        )

    def _build(self, shape: Sequence[int]) -> None:
        """Build the four networks."""
        encode, decode, width = lookup(SHAPES, "network", self.network)(
            shape, tuple(self.dims), self.dropout
        )
        self.expert_1_, self.expert_2_ = (
            _expert(shape, encode, decode, width, f"expert_{k}") for k in (1, 2)
        )
        self.gate_ = _autoencoder(shape, encode, decode)
        codes = [keras.Input((width,)) for _ in range(2)]
        towers = [layers.Dense(1, activation="sigmoid")(code) for code in codes]
        self.towers_ = keras.Model(codes, towers, name="towers")

    def _loss(self, seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """.3 for each expert and the gate, .1 for the towers."""
        noise = tf.random.stateless_normal((2, tf.shape(rows)[0], self._width()), seed)
        experts = [e([rows, noise[i]], training=True) for i, e in enumerate(self._experts())]
        hidden, gate, restored_hidden, restored = self.gate_(rows, training=True)
        loss = 0.3 * sum(_expert_loss(rows, *outputs) for outputs in experts)
        loss += 0.3 * (0.7 * row_error(rows, restored) + 0.3 * row_error(hidden, restored_hidden))
        towers = self._towers(gate, experts, training=True)
        loss += 0.1 * (0.7 * tf.square(towers[0]) + 0.3 * tf.square(towers[1]))
        return tf.reduce_mean(loss)

    def _experts(self) -> tuple[keras.Model, keras.Model]:
        return self.expert_1_, self.expert_2_

    def _width(self) -> int:
        """Width of the experts' codes."""
        return self.expert_1_.input_shape[1][1]

    def _towers(self, gate: tf.Tensor, experts: list, training: bool) -> list[tf.Tensor]:
        """Outputs t₁ for the codes of the row and t₂ for those of its reconstruction, (n,) each."""
        weights = tf.sigmoid(gate)
        (_, first, *_, first_again), (_, second, *_, second_again) = experts
        mixed = [
            weights[:, 0:1] * first + weights[:, 1:2] * second,
            weights[:, 2:3] * first_again + weights[:, 3:4] * second_again,
        ]
        return [tf.squeeze(t, axis=1) for t in self.towers_(mixed, training=training)]

    def _score(self, x: tf.Tensor) -> tf.Tensor:
        silence = tf.zeros((tf.shape(x)[0], self._width()))
        experts = [expert([x, silence], training=False) for expert in self._experts()]
        score = 0.0
        for hidden, _, _, restored_hidden, restored, _ in experts:
            error = 0.6 * row_error(x, restored) + 0.4 * row_error(hidden, restored_hidden)
            score += 0.4 * error
        towers = self._towers(self.gate_(x, training=False)[1], experts, training=False)
        return score + 0.1 * tf.square(towers[0]) + 0.1 * tf.square(towers[1])


def _expert_loss(
    rows: tf.Tensor,
    hidden: tf.Tensor,
    mean: tf.Tensor,
    log_variance: tf.Tensor,
    restored_hidden: tf.Tensor,
    restored: tf.Tensor,
    again: tf.Tensor,
) -> tf.Tensor:
    """Loss of one expert for each row, (n,); the divergence is a mean over the code."""
    spread = tf.square(mean - PRIOR_MEAN) + tf.exp(log_variance) - 1.0 - log_variance
    divergence = 0.5 * tf.reduce_mean(spread, axis=1)
    loss = (
        0.5 * row_error(rows, restored)
        + 0.3 * row_error(hidden, restored_hidden)
        + 0.2 * divergence
    )
    return 0.7 * loss + 0.3 * row_error(mean, again)


Encode = Callable[[keras.KerasTensor], keras.KerasTensor]
"""Rows to the features beside the code, flat."""
Decode = Callable[[keras.KerasTensor], tuple[keras.KerasTensor, keras.KerasTensor]]
"""A code to the same features and to rows, both reconstructed."""


def _expert(
    shape: Sequence[int], encode: Encode, decode: Decode, width: int, name: str
) -> keras.Model:
    """Variational expert.

    Returns
    -------
    keras.Model
        Rows and N(0, 1) noise (n, width) to the features beside the code, mean and logarithm of the
        variance of the code, reconstructed features and rows, and the mean code of those rows.
    """
    rows, noise = keras.Input(tuple(shape)), keras.Input((width,))
    hidden = encode(rows)
    mean, log_variance = (layers.Dense(width)(hidden) for _ in range(2))
    deviation = layers.Activation("exponential")(layers.Rescaling(0.5)(log_variance))
    code = layers.Add()([mean, layers.Multiply()([deviation, noise])])
    restored_hidden, restored = decode(code)
    again = layers.Dense(width)(encode(restored))
    outputs = [hidden, mean, log_variance, restored_hidden, restored, again]
    return keras.Model([rows, noise], outputs, name=name)


def _autoencoder(shape: Sequence[int], encode: Encode, decode: Decode) -> keras.Model:
    """The gate: rows to features, code (n, 4), reconstructed features and rows."""
    rows = keras.Input(tuple(shape))
    hidden = encode(rows)
    code = layers.Dense(GATE_CODE)(hidden)
    return keras.Model(rows, [hidden, code, *decode(code)], name="gate")


def _dense(shape: Sequence[int], dims: Sequence[int], dropout: float) -> tuple:
    check_hidden(dims)

    def stack(x: keras.KerasTensor, widths: Sequence[int]) -> keras.KerasTensor:
        for units in widths:
            x = layers.Dropout(dropout)(layers.Dense(units, activation="relu")(x))
        return x

    def encode(rows: keras.KerasTensor) -> keras.KerasTensor:
        x = stack(layers.Flatten()(rows), dims[:-2])
        return layers.Dense(dims[-2], activation="relu")(x)

    def decode(code: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        hidden = layers.Dense(dims[-2])(code)
        x = layers.Dropout(dropout)(layers.ReLU()(hidden))
        x = stack(x, dims[-3::-1])
        output = layers.Dense(int(np.prod(shape)), activation="sigmoid")(x)
        return hidden, layers.Reshape(tuple(shape))(output)

    return encode, decode, dims[-1]


def _conv(shape: Sequence[int], dims: Sequence[int], dropout: float) -> tuple:
    check_image(shape)
    drop = partial(layers.SpatialDropout2D, dropout)

    def block(x: keras.KerasTensor, conv: layers.Layer) -> keras.KerasTensor:
        return layers.BatchNormalization()(drop()(layers.LeakyReLU()(conv(x))))

    def encode(rows: keras.KerasTensor) -> keras.KerasTensor:
        x = layers.MaxPooling2D(2)(block(rows, layers.Conv2D(32, 3)))
        x = block(x, layers.Conv2D(64, 3))
        x = layers.BatchNormalization()(drop()(layers.Conv2D(128, 3)(x)))
        return layers.Flatten()(layers.MaxPooling2D(2)(x))

    def decode(code: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        hidden = layers.Dense(4 * 4 * 128)(code)
        x = layers.Reshape((4, 4, 128))(hidden)
        x = layers.UpSampling2D(2)(block(x, layers.Conv2DTranspose(64, 2)))
        x = block(x, layers.Conv2DTranspose(32, 3))
        return hidden, layers.UpSampling2D(2)(block(x, layers.Conv2DTranspose(shape[-1], 3)))

    return encode, decode, 500


SHAPES = {"dense": _dense, "conv": _conv}
"""Builders of (encode, decode, width of the code)."""
