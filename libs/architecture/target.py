"""Target networks, and the activations that alarm networks read."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.parts import argue_autoencoder, check_image
from libs.architecture.saved import load_network
from libs.utils.errors import UserError, lookup


def dense_autoencoder(
    shape: Sequence[int], dims: Sequence[int], dropout: float = 0.1, *, linear_code: bool = False
) -> keras.Model:
    """Dense autoencoder of A3 (authors' code, ``[d1..dk]``).

    Dense + ReLU d1..dk, then d(k-1)..d1, dropout, sigmoid output. Every ReLU is a separate layer,
    including that of the code: A3 reads 725 activations of 200-100-50-25.

    Parameters
    ----------
    shape : sequence of int
        Shape of one row; flattened inside, restored at the output.
    dims : sequence of int
        Widths from the input to the code.
    dropout : float
        Rate before the output layer.
    linear_code : bool
        Leave the ReLU of the code out (deepad).
    """
    features = int(np.prod(shape))
    stack = [keras.Input(tuple(shape)), layers.Flatten()]
    for i, width in enumerate([*dims, *reversed(list(dims)[:-1])], start=1):
        stack += [layers.Dense(width)]
        if i != len(dims) or not linear_code:
            stack += [layers.ReLU()]
    stack += [layers.Dropout(dropout), layers.Dense(features), layers.Reshape(tuple(shape))]
    return keras.Sequential([*stack, layers.Activation("sigmoid")], name="dense_autoencoder")


def conv_autoencoder(
    shape: Sequence[int], dims: Sequence[int] = (16, 8, 8), dropout: float = 0.1
) -> keras.Model:
    """Convolutional autoencoder of A3 for 28 x 28 images (authors' code); 7432 activations.

    Parameters
    ----------
    shape : (28, 28, channels)
        The valid convolution fits no other size.
    dims : (int, int, int)
        Channels of the three convolutions of the encoder.
    dropout : float
        Rate of the spatial dropout before the last ReLU.
    """
    check_image(shape)
    a, b, c = dims

    def conv(filters: int, padding: str = "same") -> layers.Layer:
        return layers.Conv2D(filters, 3, padding=padding)

    def pool() -> layers.Layer:
        return layers.MaxPooling2D(2, padding="same")

    def up() -> layers.Layer:
        return layers.UpSampling2D(2)

    relu = layers.ReLU
    encoder = [conv(a), pool(), relu(), conv(b), pool(), relu(), conv(c), pool(), relu()]
    decoder = [conv(c), relu(), up(), conv(b), relu(), up()]
    decoder += [conv(a, "valid"), layers.SpatialDropout2D(dropout), relu(), up()]
    output = [conv(shape[2]), layers.Activation("sigmoid")]
    stack = [keras.Input(tuple(shape)), *encoder, *decoder, *output]
    return keras.Sequential(stack, name="conv_autoencoder")


def dropout_dense_autoencoder(
    shape: Sequence[int], dims: Sequence[int], dropout: float = 0.4
) -> keras.Model:
    """Dense autoencoder of R2-AD2 (authors' code): dropout after every hidden layer but the code.

    Dense + ReLU d1..dk, then d(k-1)..d1, sigmoid output. The hidden ReLUs of 40-20-10 are the 130
    activations that A3 reads in R2-AD2's experiments. Names of the decoder's layers with weights
    start with ``decoder``, here and in the convolutional form. For the parameters see
    `dense_autoencoder`.
    """
    *hidden, code = dims
    stack = [keras.Input(tuple(shape)), layers.Flatten()]
    for i, width in enumerate(hidden):
        stack += [layers.Dense(width, name=f"encoder_{i}"), layers.ReLU(), layers.Dropout(dropout)]
    stack += [layers.Dense(code, name="code"), layers.ReLU()]
    for i, width in enumerate(reversed(hidden)):
        stack += [layers.Dense(width, name=f"decoder_{i}"), layers.ReLU(), layers.Dropout(dropout)]
    output = layers.Dense(int(np.prod(shape)), name=f"decoder_{len(hidden)}")
    stack += [output, layers.Reshape(tuple(shape)), layers.Activation("sigmoid")]
    return keras.Sequential(stack, name="dropout_dense_autoencoder")


def dropout_conv_autoencoder(
    shape: Sequence[int], dims: Sequence[int] = (8,), dropout: float = 0.4
) -> keras.Model:
    """Convolutional autoencoder of R2-AD2 for 28 x 28 images (authors' code); 9,657 weights.

    Two convolutions of 8 filters with pooling, a dense code of width ``dims[0]``, a dense layer of
    8 x 8 x 8, and two transposed convolutions with a valid one between them. Dropout after every
    hidden layer, of whole channels after convolutions.
    """
    check_image(shape)
    (code,) = dims

    def up(filters: int, name: str) -> layers.Layer:
        return layers.Conv2DTranspose(filters, 3, strides=2, padding="same", name=name)

    def relu(*between: layers.Layer) -> list[layers.Layer]:
        return [layers.ReLU(), *between, layers.SpatialDropout2D(dropout)]

    stack = [keras.Input(tuple(shape))]
    for i in range(2):
        convolution = layers.Conv2D(8, 3, padding="same", name=f"encoder_{i}")
        stack += [convolution, *relu(layers.MaxPooling2D(2))]
    stack += [layers.Flatten()]
    for width, name in ((code, "code"), (512, "decoder_0")):
        stack += [layers.Dense(width, name=name), layers.ReLU(), layers.Dropout(dropout)]
    stack += [layers.Reshape((8, 8, 8)), up(8, "decoder_1"), *relu()]
    stack += [layers.Conv2D(8, 3, name="decoder_2"), *relu()]
    stack += [up(shape[2], "decoder_3"), layers.Activation("sigmoid")]
    return keras.Sequential(stack, name="dropout_conv_autoencoder")


def digit_classifier() -> keras.Model:
    """Classifier of 28 x 28 digits: Keras' "simple MNIST convnet" with ReLUs after pooling.

    This computes the same with a quarter of the activations: 13·13·32 + 5·5·64 = 7,008. Outputs ten
    probabilities.
    """
    stack = [keras.Input((28, 28, 1))]
    for filters in (32, 64):
        stack += [layers.Conv2D(filters, 3), layers.MaxPooling2D(2), layers.ReLU()]
    stack += [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]
    return keras.Sequential(stack, name="digit_classifier")


def load_target(path: Path) -> keras.Model:
    """Load a target from a ``.keras`` file; nothing in it runs code.

    Raises
    ------
    UserError
        See `libs.architecture.saved.load_network`.
    """
    try:
        return load_network(path)
    except UserError as error:
        raise UserError(f"{error}. Train one with: python keras_mnist.py") from error


AUTOENCODERS: dict[str, Callable[..., keras.Model]] = {
    "dense": dense_autoencoder,
    "linear_code": partial(dense_autoencoder, linear_code=True),
    "conv": conv_autoencoder,
    "dropout_dense": dropout_dense_autoencoder,
    "dropout_conv": dropout_conv_autoencoder,
    "argue_dense": partial(argue_autoencoder, "dense"),
    "argue_conv": partial(argue_autoencoder, "conv"),
}
LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    # Keras finds the logits behind a sigmoid: saturated outputs keep their gradient
    "binary_crossentropy": keras.losses.binary_crossentropy,
    "mse": keras.losses.mean_squared_error,
}
"""``loss(x, reconstruction)`` of autoencoders, a mean over the last axis."""


def autoencoder(
    network: str, shape: Sequence[int], dims: Sequence[int], dropout: float
) -> keras.Model:
    """Build the autoencoder that `AUTOENCODERS` names ``network``.

    Raises
    ------
    UserError
        If the name is unknown, or the network does not take rows of that shape.
    """
    return lookup(AUTOENCODERS, "network", network)(tuple(shape), tuple(dims), dropout)


_SPATIAL = (layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D)
_ACTIVATIONS = (
    layers.ReLU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ELU,
    layers.Softmax,
    layers.Activation,
)


def row_error(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of each row of (n, ...), (n,)."""
    return tf.reduce_mean(tf.square(a - b), axis=list(range(1, len(a.shape))))


class HiddenActivations:
    """Hidden activations of any Keras model, flattened and joined in the order of computation.

    Stand-alone activation layers and activations fused into other layers count, also in nested
    models; the model's output does not (A3, section 3). They are read by a second model, built once
    on the same layers, so that threads can share one object.

    Parameters
    ----------
    model : keras.Model
        One input of a fixed shape, one output; other models may be nested in it.
    dropout : bool
        Whether the dropout layers act, as a seed given with the rows decides. Every other layer is
        in inference mode.

    Attributes
    ----------
    width : int
        Number of activations per row.
    layer_names : list of str
        The layer of each activation, in order.
    layer_widths : list of int

    Raises
    ------
    UserError
        If the model has no hidden activation (its layers are listed), or its layers cannot be told.
    """

    def __init__(self, model: keras.Model, dropout: bool = False):
        self.model, self.dropout = model, dropout
        self._drops: list[tuple[tuple[int, ...], float]] = []
        seen, names, tensors = [], [], []
        inputs = [keras.Input(_row_shape(model))]

        def call(layer: layers.Layer, *args, **kwargs) -> keras.KerasTensor:
            if dropout and isinstance(layer, layers.Dropout):
                shape = _dropped_together(layer, args[0].shape)
                self._drops.append((shape, layer.rate))
                inputs.append(keras.Input(shape))
                return args[0] * inputs[-1]
            output = layer(*args, **kwargs)
            seen.append(f"{layer.name} ({type(layer).__name__})")
            if _is_activation(layer):
                names.append(layer.name)
                tensors.append(output)
            return output

        output = _call_layers(model, call, inputs[0])
        rows = tf.constant(np.random.default_rng(0).random((2, *inputs[0].shape[1:])), tf.float32)
        probed = keras.Model(inputs, [output, *tensors])
        last, *values = probed([rows, *self._draw(2, tf.constant([0, 0]))], training=False)
        last = np.asarray(last).reshape(2, -1)
        hidden = [i for i, value in enumerate(values) if not _equal(value, last)]
        if not hidden:
            raise UserError(
                f"the target {model.name!r} has no hidden activation to read. Expected a layer "
                "with an activation other than linear before the output, such as ReLU or "
                f"Dense(..., activation='relu'); found: {', '.join(seen)}"
            )
        self.layer_names = [names[i] for i in hidden]
        self.layer_widths = [int(np.prod(tensors[i].shape[1:])) for i in hidden]
        self.width = sum(self.layer_widths)
        self._network = keras.Model(inputs, [tensors[i] for i in hidden])

    def __reduce__(self) -> tuple:
        """Copies and pickles find the layers again, in the copy of the model."""
        return type(self), (self.model, self.dropout)

    def __call__(self, x: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Activations of rows ``x``, (n, width) float32; ``seed``, int32 (2,), is of dropout."""
        n = tf.shape(x)[0]
        hidden = keras.tree.flatten(self._network([x, *self._draw(n, seed)], training=False))
        joined = tf.concat([tf.reshape(part, (n, -1)) for part in hidden], axis=1)
        return tf.ensure_shape(tf.cast(joined, tf.float32), (None, self.width))

    def _draw(self, n: tf.Tensor | int, seed: tf.Tensor | None) -> list[tf.Tensor]:
        """What each dropout layer multiplies ``n`` rows by: 0, or more than 1 for what is kept."""
        factors = []
        for number, (shape, rate) in enumerate(self._drops, start=1):
            drawn = tf.random.stateless_uniform((n, *shape), seed + tf.constant([number, 0]))
            factors.append(tf.cast(drawn >= rate, tf.float32) / (1 - rate))
        return factors


def _row_shape(model: keras.Model) -> tuple[int, ...]:
    """Shape of one row of the model's input."""
    shape = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise UserError(
            f"the target {model.name!r} must have one input of a fixed shape, found {shape}; "
            "give it one, or wrap it: keras.Model(x, model(x)) with x = keras.Input(...)"
        )
    return shape[1:]


def _dropped_together(layer: layers.Dropout, shape: Sequence[int | None]) -> tuple[int, ...]:
    """Shape of a row of what a dropout layer draws: whole channels, or each value by itself."""
    spatial = isinstance(layer, _SPATIAL)
    return (*(1 for _ in shape[1:-1]), shape[-1]) if spatial else tuple(shape[1:])


def _call_layers(
    model: keras.Model, call: Callable, inputs: keras.KerasTensor, *args, **kwargs
) -> keras.KerasTensor:
    """The output of a model for symbolic inputs, where ``call`` calls each layer.

    Those of nested models, too. Layers inside a recurrent layer or a wrapper run in a loop; they
    are represented by their owner.
    """
    own = keras.tree.map_structure(
        lambda t: keras.Input(batch_shape=t.shape, dtype=t.dtype), inputs
    )
    try:
        plain = keras.Model(own, model.call(own, *args, **kwargs))  # whatever the model's class
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"the layers of the target's model {model.name!r} cannot be told ({reason}): its call "
            "must use Keras' layers and keras.ops only"
        ) from error

    def opened(layer: layers.Layer, *args, **kwargs) -> keras.KerasTensor:
        if isinstance(layer, keras.Model):
            return _call_layers(layer, call, *args, **kwargs)
        return call(layer, *args, **kwargs)

    return plain._run_through_graph(inputs, call_fn=opened)


def _equal(activation: tf.Tensor, output: np.ndarray) -> bool:
    """Whether an activation is the model's output, perhaps reshaped."""
    flat = np.asarray(activation).reshape(len(output), -1)
    return flat.shape == output.shape and np.array_equal(flat, output)


def _is_activation(layer: layers.Layer) -> bool:
    if isinstance(layer, layers.Wrapper):
        return _is_activation(layer.layer)
    function = getattr(layer, "activation", None)
    fused = function is not None and function is not keras.activations.linear
    return fused or isinstance(layer, _ACTIVATIONS)
