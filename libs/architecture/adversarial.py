"""Adversarial autoencoders (Makhzani et al., 2016) in ARGUE's shapes, with a code or also clusters.

Parts are lists of layers, which `libs.targets.clustering` and `baselines.FAnoGAN` assemble.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from libs.architecture.parts import check_image

Layers = list[layers.Layer]


def chain_layers(x: keras.KerasTensor, stack: Layers) -> keras.KerasTensor:
    """Apply layers one after the other."""
    for layer in stack:
        x = layer(x)
    return x


def critic(width: int, dims: Sequence[int] = (40, 30, 20, 10, 5)) -> keras.Model:
    """Dense critic of codes: ReLU, one linear output (authors' code)."""
    hidden = [layers.Dense(units, activation="relu") for units in dims]
    return keras.Sequential([keras.Input((width,)), *hidden, layers.Dense(1)], name="critic")


def _block(batch_norm: bool, kind: type[layers.Layer], *settings, **more) -> Layers:
    """A layer, optional batch normalisation (which makes its bias useless), and LeakyReLU."""
    norm = [layers.BatchNormalization()] if batch_norm else []
    return [kind(*settings, use_bias=not batch_norm, **more), *norm, layers.LeakyReLU(0.01)]


def dense_trunk(dims: Sequence[int], batch_norm: bool = True) -> Layers:
    """Encoder up to its last hidden layer."""
    blocks = [_block(batch_norm, layers.Dense, units) for units in dims]
    return [layers.Flatten(), *(layer for block in blocks for layer in block)]


def conv_trunk(filters: Sequence[int], batch_norm: bool = True) -> Layers:
    """Encoder of 28 x 28 images up to 4 x 4 x filters[-1]: 3 x 3 convolutions of stride 2."""
    geometry = {"strides": 2, "padding": "same"}
    blocks = [_block(batch_norm, layers.Conv2D, f, 3, **geometry) for f in filters]
    return [layer for block in blocks for layer in block]


def dense_decoder(shape: Sequence[int], dims: Sequence[int]) -> Layers:
    """Decoder of flat codes: ReLU, no batch normalisation, logits of rows."""
    hidden = [layers.Dense(units, activation="relu") for units in reversed(dims)]
    return [*hidden, layers.Dense(int(np.prod(shape))), layers.Reshape(tuple(shape))]


def conv_decoder(shape: Sequence[int], filters: Sequence[int], batch_norm: bool) -> Layers:
    """Decoder of 1 x 1 x c codes to logits of 28 x 28 images, by transposed convolutions.

    Their outputs are 2, 6, 14 and 28 wide. With batch normalisation LeakyReLU, else ReLU.
    """
    stack: Layers = []
    for f, padding in zip(filters, ("same", "valid", "valid"), strict=True):
        geometry = {"strides": 2, "padding": padding}
        if batch_norm:
            stack += _block(True, layers.Conv2DTranspose, f, 4, **geometry)
        else:
            stack += [layers.Conv2DTranspose(f, 4, activation="relu", **geometry)]
    return [*stack, layers.Conv2DTranspose(shape[-1], 4, strides=2, padding="same")]


def _dense_clustering(shape: Sequence[int], dims: Sequence[int]) -> tuple[Layers, Callable, Layers]:
    return dense_trunk(dims[:-1]), layers.Dense, dense_decoder(shape, dims[:-1])


def _conv_clustering(shape: Sequence[int], dims: Sequence[int]) -> tuple[Layers, Callable, Layers]:
    check_image(shape)
    decoder = conv_decoder(shape, (64, 32, 16), batch_norm=False)
    return conv_trunk((16, 32, 64)), lambda units: layers.Conv2D(units, 3, strides=2), decoder


CLUSTERINGS = {"dense": _dense_clustering, "conv": _conv_clustering}


def clustering_autoencoder(
    network: str, shape: Sequence[int], dims: Sequence[int], code: int, clusters: int
) -> tuple[keras.Model, keras.Model]:
    """Autoencoder with a continuous and a categorical code (ARGUE, authors' code).

    Parameters
    ----------
    network : {"dense", "conv"}
        Dense: hidden widths ``dims[:-1]``. Conv: 16-32-64 filters, ``dims`` is not used.
    shape : sequence of int
        Shape of one row.
    dims : sequence of int
        Widths of the method's other autoencoder; the last is that of its code.
    code, clusters : int
        Widths of the two codes.

    Returns
    -------
    encoder : keras.Model
        Rows to codes (n, code) and probabilities of clusters (n, clusters).
    decoder : keras.Model
        (n, code + clusters) to logits of rows.
    """
    trunk, head, decoder = CLUSTERINGS[network](shape, dims)
    rows = keras.Input(tuple(shape))
    hidden = chain_layers(rows, trunk)
    codes = [layers.Flatten()(head(units)(hidden)) for units in (code, clusters)]
    encoder = keras.Model(rows, [codes[0], layers.Softmax()(codes[1])], name="cluster_encoder")
    joined = (code + clusters,)
    start = layers.Reshape(joined if network == "dense" else (1, 1, *joined))
    return encoder, keras.Sequential([keras.Input(joined), start, *decoder], name="cluster_decoder")
