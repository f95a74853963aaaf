"""Encoders without biases, and their decoders, for Deep SVDD and Deep SAD.

With biases, every row could be mapped to the centre regardless of its values (Ruff et al., 2018,
proposition 2).
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from libs.utils.errors import UserError


def bias_free_dense(
    shape: Sequence[int], dims: Sequence[int], dropout: float
) -> tuple[keras.Model, keras.Model]:
    """Dense encoder and decoder (R2-AD2, authors' code): LeakyReLU .01, linear code.

    Parameters
    ----------
    shape : sequence of int
        Shape of one row.
    dims : sequence of int
        Widths from the input to the code.
    dropout : float
        After every hidden layer.

    Returns
    -------
    encoder, decoder : keras.Model
        Rows to codes; codes to rows in [0, 1].
    """
    *hidden, code = dims

    def stack(widths: Sequence[int]) -> list[layers.Layer]:
        found = []
        for width in widths:
            found += [layers.Dense(width, use_bias=False), layers.LeakyReLU(0.01)]
            found += [layers.Dropout(dropout)]
        return found

    encoder = [keras.Input(tuple(shape)), layers.Flatten(), *stack(hidden)]
    encoder += [layers.Dense(code, use_bias=False)]
    decoder = [keras.Input((code,)), *stack(hidden[::-1])]
    decoder += [layers.Dense(int(np.prod(shape)), use_bias=False), layers.Reshape(tuple(shape))]
    return _pair(encoder, decoder)


def bias_free_conv(
    shape: Sequence[int], dims: Sequence[int], dropout: float
) -> tuple[keras.Model, keras.Model]:
    """Convolutional encoder and decoder for 28 x 28 images (Deep SVDD's network for MNIST).

    ``dims`` is the width of the code, a multiple of 16 (32); dropout drops whole channels. For the
    rest see `bias_free_dense`.
    """
    (code,) = dims
    if tuple(shape[:2]) != (28, 28) or len(shape) != 3 or code % 16:
        raise UserError(
            f"the convolutional encoder takes rows of shape (28, 28, channels) and a code that is "
            f"a multiple of 16, found {tuple(shape)} and {code}; use network='dense'"
        )

    def conv(filters: int) -> layers.Layer:
        return layers.Conv2D(filters, 5, padding="same", use_bias=False)

    def up(filters: int, padding: str = "valid") -> layers.Layer:
        return layers.Conv2DTranspose(filters, 5, padding=padding, use_bias=False)

    def norm() -> list[layers.Layer]:
        plain = layers.BatchNormalization(epsilon=1e-4, center=False, scale=False)
        return [plain, layers.LeakyReLU(0.01), layers.SpatialDropout2D(dropout)]

    pool, twice = layers.MaxPooling2D, layers.UpSampling2D
    encoder = [keras.Input(tuple(shape)), conv(8), *norm(), pool(), conv(4), *norm(), pool()]
    encoder += [layers.Flatten(), layers.Dense(code, use_bias=False)]
    decoder = [keras.Input((code,)), layers.Reshape((4, 4, code // 16)), layers.LeakyReLU(0.01)]
    decoder += [twice(), up(4), *norm(), twice(), up(8), *norm(), up(shape[2], "same")]
    return _pair(encoder, decoder)


def _pair(
    encoder: list[layers.Layer], decoder: list[layers.Layer]
) -> tuple[keras.Model, keras.Model]:
    decoder = [*decoder, layers.Activation("sigmoid")]
    return keras.Sequential(encoder, name="encoder"), keras.Sequential(decoder, name="decoder")


BIAS_FREE: dict[str, Callable[..., tuple[keras.Model, keras.Model]]] = {
    "dense": bias_free_dense,
    "conv": bias_free_conv,
}
