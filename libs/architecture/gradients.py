"""Loss gradients of single rows with respect to all weights of a target (R2-AD2's features).

There is no loop over rows: one forward and one backward pass of the whole batch yield the inputs of
every layer with weights and the loss gradients at its outputs. A row's gradient with respect to a
kernel is a sum of outer products of the two: one for a dense layer, one per position of the filter
for a convolution.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.target import row_error
from libs.utils.errors import UserError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""``loss(x, logits)`` gives the loss of each row, (n,); logits have the shape of rows; a sigmoid
turns them into reconstructions."""


def cross_entropy(x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, mean over features, (n,).

    Computed from logits: where the sigmoid saturates, the gradient σ(a) - x remains. Rows outside
    [0, 1] give values below the minimum of the cross-entropy, as in the authors' code.
    """
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
    return tf.reduce_mean(entropy, axis=list(range(1, len(x.shape))))


def squared_error(x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean squared error of the reconstructions, (n,)."""
    return row_error(x, tf.sigmoid(logits))


class LayerGradient(NamedTuple):
    """Gradients of each row with respect to one layer's weights, as factors.

    Attributes
    ----------
    layer : keras.Layer
    left, right : (n, places, i) and (n, places, o) float
        The kernel's gradient is Σ over places of left ⊗ right, i·o values in the kernel's order.
    bias : (n, b) float
    """

    layer: layers.Layer
    left: tf.Tensor
    right: tf.Tensor
    bias: tf.Tensor

    def kernel(self) -> tf.Tensor:
        """Kernel gradients, (n, i, o)."""
        if self.left.shape[1] == 1:  # faster than products of matrices of inner width 1
            return self.left[:, 0, :, None] * self.right[:, 0, None, :]
        return tf.matmul(self.left, self.right, transpose_a=True)

    def flat(self) -> tf.Tensor:
        """Kernel gradients, then bias gradients, (n, i·o + b)."""
        i, o = self.left.shape[2], self.right.shape[2]
        return tf.concat([tf.reshape(self.kernel(), (-1, i * o)), self.bias], axis=1)

    def sketch(self, r: tf.Tensor, s: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Random projection of the gradients, (n, k), with matrices (i, k), (o, k) and (b, k).

        With random signs, products of sketches are on average k times the products of the
        gradients. The i·o gradients of a dense layer are never formed.
        """
        if self.left.shape[1] == 1:
            product = tf.matmul(self.left[:, 0], r) * tf.matmul(self.right[:, 0], s)
        else:
            half = tf.einsum("nio,ik->nok", self.kernel(), r)
            product = tf.reduce_sum(half * s, axis=1)
        return product + tf.matmul(self.bias, b)


def layer_gradients(
    model: keras.Model, x: tf.Tensor, loss: Loss = cross_entropy
) -> list[LayerGradient]:
    """Gradients of each row's loss, in inference mode, for every layer with weights.

    Parameters
    ----------
    model : keras.Sequential
        Rows to reconstructed rows. Its last layer is ``Activation("sigmoid")``; its layers with
        weights are linear `Dense`, `Conv2D` and `Conv2DTranspose` with bias.
    x : (n, ...) float
        Rows are independent: n rows at once give what n batches of one row would.
    loss : callable
        See `Loss`.
    """
    _check(model)
    records, h = [], x
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for layer in model.layers[:-1]:
            inputs, h = h, layer(h)
            if layer.weights:
                tape.watch(h)
                records.append((layer, inputs, h))
        total = tf.reduce_sum(loss(x, h))
    deltas = tape.gradient(total, [h for *_, h in records])
    return [
        LayerGradient(layer, *_FACTORS[type(layer)](layer, inputs, delta))
        for (layer, inputs, _), delta in zip(records, deltas, strict=True)
    ]


def _dense(layer: layers.Layer, inputs: tf.Tensor, delta: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return inputs[:, None], delta[:, None], delta


def _convolution(layer: layers.Layer, inputs: tf.Tensor, delta: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Input patch of each filter position, and the gradient of its output."""
    places = _places(delta)
    return _patches(layer, inputs), places, tf.reduce_sum(places, axis=1)


def _transposed(layer: layers.Layer, inputs: tf.Tensor, delta: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """As a convolution, with the roles of inputs and gradients exchanged."""
    return _patches(layer, delta), _places(inputs), tf.reduce_sum(_places(delta), axis=1)


def _patches(layer: layers.Layer, images: tf.Tensor) -> tf.Tensor:
    """Input patch of each filter position, (n, places, height · width · channels)."""
    sizes, strides = (1, *layer.kernel_size, 1), (1, *layer.strides, 1)
    patches = tf.image.extract_patches(images, sizes, strides, (1, 1, 1, 1), layer.padding.upper())
    return _places(patches)


def _places(images: tf.Tensor) -> tf.Tensor:
    """Images (n, height, width, channels) as (n, places, channels)."""
    _, height, width, channels = images.shape
    return tf.reshape(images, (-1, height * width, channels))


_FACTORS = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed,
}


def _check(model: keras.Model) -> None:
    """Raise a UserError if `layer_gradients` would be wrong for the model."""
    *hidden, last = model.layers
    wrong = [
        f"{la.name} ({type(la).__name__})"
        for la in hidden
        if la.weights
        and (
            type(la) not in _FACTORS
            or la.activation is not keras.activations.linear
            or not la.use_bias
        )
    ]
    if getattr(last, "activation", None) is not keras.activations.sigmoid:
        wrong.append(f"{last.name} ({type(last).__name__})")
    if wrong:
        raise UserError(
            f"gradients of the target {model.name!r}: expected linear Dense, Conv2D and "
            f"Conv2DTranspose layers with bias, activations as layers of their own, and "
            f"Activation('sigmoid') at the end; found {', '.join(wrong)}"
        )


class RawGradients:
    """Raw gradients of each row at every checkpoint: no absolute values, no scaling.

    Parameters
    ----------
    checkpoints : sequence of keras.Sequential
        See `layer_gradients`.

    Attributes
    ----------
    steps, width : int
        Number of checkpoints, and of weights in each.
    """

    def __init__(self, checkpoints: Sequence[keras.Model]):
        self.checkpoints = checkpoints
        self.steps = len(checkpoints)
        self.width = checkpoints[0].count_params()

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Gradients of rows ``x``, (n, steps, width): layer by layer, each kernel, then bias."""
        steps = [
            tf.concat([g.flat() for g in layer_gradients(model, x)], axis=1)
            for model in self.checkpoints
        ]
        return tf.ensure_shape(tf.stack(steps, axis=1), (None, self.steps, self.width))


class SketchedGradients:
    """Random projections of each row's gradients: ``size`` numbers for each layer and checkpoint.

    A tensor sketch (Pham and Pagh, 2013) of the gradient's factors: products of sketches are
    unbiased estimates of products of gradients, at a cost that grows with the sum of a layer's
    widths instead of their product.

    Parameters
    ----------
    checkpoints : sequence of keras.Sequential
        See `layer_gradients`.
    size : int
        Numbers for each layer, k; the standard error of a product falls with 1/√k.
    seed : int
        Of the random signs.

    Attributes
    ----------
    width : int
        Numbers for each row.
    """

    def __init__(self, checkpoints: Sequence[keras.Model], size: int, seed: int):
        self.checkpoints = checkpoints
        rng = np.random.default_rng(seed)
        self._signs = [
            [self._matrices(g, size, rng) for g in layer_gradients(model, _one_row(model))]
            for model in checkpoints
        ]
        self._scale = 1 / np.sqrt(size)
        self.width = size * sum(map(len, self._signs))

    @staticmethod
    def _matrices(gradient: LayerGradient, size: int, rng: np.random.Generator) -> list[tf.Tensor]:
        widths = [part.shape[-1] for part in (gradient.left, gradient.right, gradient.bias)]
        return [tf.constant(rng.choice((-1.0, 1.0), (w, size)), tf.float32) for w in widths]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Sketches of rows ``x``, (n, width)."""
        sketches = [
            gradient.sketch(*signs)
            for model, matrices in zip(self.checkpoints, self._signs, strict=True)
            for gradient, signs in zip(layer_gradients(model, x), matrices, strict=True)
        ]
        return tf.ensure_shape(tf.concat(sketches, axis=1) * self._scale, (None, self.width))


def _one_row(model: keras.Model) -> tf.Tensor:
    return tf.zeros((1, *model.input_shape[1:]))
