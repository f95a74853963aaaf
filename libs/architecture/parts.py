"""Encoders and decoders of ARGUE's paper, from which its autoencoders are built."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from libs.utils.errors import UserError

Part = tuple[keras.KerasTensor, list[keras.KerasTensor]]
"""Result of an encoder or a decoder: its output and its hidden activations."""


def check_hidden(dims: Sequence[int]) -> None:
    """Raise a UserError if there is no hidden width before the code's."""
    if len(dims) < 2:
        raise UserError(f"dims {dims}: expected a hidden width, or more, before the code's")


def check_image(shape: Sequence[int]) -> None:
    """Raise a UserError unless rows are images that the convolutional networks fit."""
    if tuple(shape[:2]) != (28, 28) or len(shape) != 3:
        raise UserError(
            f"convolutional networks take rows of shape (28, 28, channels), found {tuple(shape)}; "
            "use network='dense'"
        )


def join_tensors(tensors: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Flatten and concatenate: (n, width)."""
    flat = [layers.Flatten()(t) for t in tensors]
    return layers.Concatenate(axis=1)(flat) if len(flat) > 1 else flat[0]


def _dense_encoder(x: keras.KerasTensor, dims: Sequence[int], dropout: float) -> Part:
    x, hidden = layers.Flatten()(x), []
    for width in dims[:-1]:
        hidden.append(layers.ReLU()(layers.Dense(width)(x)))
        x = layers.Dropout(dropout)(hidden[-1])
    # an operation, not a layer: the alarm does not read the code's activations (authors' code)
    return keras.ops.relu(layers.Dense(dims[-1])(x)), hidden


def _dense_decoder(
    x: keras.KerasTensor, shape: Sequence[int], dims: Sequence[int], dropout: float
) -> Part:
    hidden = []
    for width in reversed(dims[:-1]):
        hidden.append(layers.ReLU()(layers.Dense(width)(x)))
        x = layers.Dropout(dropout)(hidden[-1])
    return layers.Dense(int(np.prod(shape)))(x), hidden


def _conv_encoder(x: keras.KerasTensor, dims: Sequence[int], dropout: float) -> Part:
    check_image(x.shape[1:])
    hidden = []
    for filters in dims:
        x = layers.Conv2D(filters, 3, padding="same")(x)
        hidden.append(layers.ReLU()(layers.MaxPooling2D(2, padding="same")(x)))
        x = layers.SpatialDropout2D(dropout)(hidden[-1])
    return x, hidden


def _conv_decoder(
    x: keras.KerasTensor, shape: Sequence[int], dims: Sequence[int], dropout: float
) -> Part:
    hidden = []
    for filters, padding in zip(reversed(dims), ("same", "same", "valid"), strict=True):
        hidden.append(layers.ReLU()(layers.Conv2D(filters, 3, padding=padding)(x)))
        x = layers.SpatialDropout2D(dropout)(layers.UpSampling2D(2)(hidden[-1]))
    return layers.Conv2D(shape[-1], 3, padding="same")(x), hidden


PARTS: dict[str, tuple[Callable[..., Part], Callable[..., Part]]] = {
    "dense": (_dense_encoder, _dense_decoder),
    "conv": (_conv_encoder, _conv_decoder),
}


def argue_autoencoder(
    network: str, shape: Sequence[int], dims: Sequence[int], dropout: float
) -> keras.Model:
    """Autoencoder of ARGUE's code: dropout after every hidden layer, sigmoid output.

    Its hidden activations are those of one expert: 590 of the dense 90-75-60-45-25-15, without the
    code's, and 7,432 of the convolutional 16-8-8, with it. For the parameters see
    `libs.architecture.experts.multi_head_autoencoder`.
    """
    encode, decode = PARTS[network]
    rows = keras.Input(tuple(shape))
    logits, _ = decode(encode(rows, dims, dropout)[0], shape, dims, dropout)
    output = layers.Activation("sigmoid")(layers.Reshape(tuple(shape))(logits))
    return keras.Model(rows, output, name=f"argue_{network}_autoencoder")
