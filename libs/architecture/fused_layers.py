"""ReLU, dropout and a dense product in one layer, for networks dominated by dropout's cost."""

import keras
import numpy as np
import tensorflow as tf

LEVELS = 2**16
"""A dropout rate is a multiple of 1 / LEVELS: one draw of 64 bits decides about four units."""


@keras.saving.register_keras_serializable("libs", name="ThinnedDense")  # in saved models
class FusedDense(keras.layers.Layer):
    """`ReLU`, `Dropout` and a dense layer in sequence, for several networks side by side.

    Keras draws a float per unit; on a CPU its work between two products takes about as long as the
    products. Here 16-bit integers decide which units drop, scaling is folded into the kernel, and
    one backward pass serves ReLU and dropout.

    Parameters
    ----------
    units : int
        Outputs of each network.
    rate : float
        Fraction of inputs dropped in training, in [0, 1); the copies drop the same ones.
    seed : int
        Of the dropout.
    dtype : str
        Keras' name of a precision; weights are always float32.

    Notes
    -----
    (..., copies, inputs) to (..., copies, units); kernel (copies, inputs, units), bias
    (copies, units).
    """

    def __init__(self, units: int, rate: float, seed: int, **kwargs: object):
        # weights are scaled in float32 and cast explicitly, inputs are not cast at all
        super().__init__(**kwargs | {"autocast": False})
        self.units, self.rate, self.seed = units, rate, seed
        self._seeds = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights, all 0; the builder of the network sets them."""
        *_, copies, inputs = input_shape
        self.kernel = self.add_weight((copies, inputs, self.units), "zeros", name="kernel")
        self.bias = self.add_weight((copies, self.units), "zeros", name="bias")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        copies, inputs, units = self.kernel.shape
        x = tf.cast(x, self.compute_dtype)
        first = tf.shape(x)[:-2]
        x = tf.reshape(x, (-1, copies, inputs))
        kernel = tf.convert_to_tensor(self.kernel)
        dropped = round(self.rate * LEVELS) if training else 0
        if dropped:
            x = _drop_and_rectify(x, dropped, tf.cast(self._seeds.next(), tf.int32))
            kernel *= LEVELS / (LEVELS - dropped)
        else:
            x = tf.nn.relu(x)
        # copies first, so that neither the product nor its gradients transpose the rows
        x = tf.matmul(tf.transpose(x, (1, 0, 2)), tf.cast(kernel, x.dtype))
        x = tf.transpose(x + tf.cast(self.bias, x.dtype)[:, None], (1, 0, 2))
        return tf.reshape(x, tf.concat([first, (copies, units)], axis=0))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See the class."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, object]:
        """Arguments of the layer, for a saved model."""
        own = {"units": self.units, "rate": self.rate, "seed": self.seed}
        return super().get_config() | own


def _drop_and_rectify(x: tf.Tensor, dropped: int, seed: tf.Tensor) -> tf.Tensor:
    """ReLU of (n, copies, inputs), with ``dropped`` of `LEVELS` inputs of each row set to 0."""
    rows, _, inputs = tf.unstack(tf.shape(x))
    draws = tf.random.stateless_uniform((-(-rows * inputs // 4),), seed, None, None, tf.int64)
    fates = tf.reshape(tf.bitcast(draws, tf.int16), (-1,))[: rows * inputs]
    kept = tf.reshape(fates >= np.int16(dropped - LEVELS // 2), (rows, 1, inputs))

    # minus itself, not `where` alone: the gradient is then that of ReLU; `tf.custom_gradient` would
    # keep every graph that it is part of for ever
    return tf.nn.relu(x - tf.stop_gradient(tf.where(kept, tf.zeros((), x.dtype), x)))
