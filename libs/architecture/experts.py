"""Networks of experts: a shared encoder with a decoder per expert, their alarm, and their gate.

Decoders are separate layers: on a CPU that is faster than batched products or grouped convolutions.
The shared alarm network, which takes nearly all of the time, processes the experts of all rows in
one product.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from libs.architecture.alarm import POLICIES
from libs.architecture.fused_layers import FusedDense
from libs.architecture.parts import PARTS, join_tensors
from libs.utils.errors import lookup


def multi_head_autoencoder(
    network: str, shape: Sequence[int], dims: Sequence[int], dropout: float, experts: int
) -> tuple[keras.Model, keras.Model]:
    """ARGUE's autoencoder: one encoder, and a decoder for every expert (authors' code).

    Activations are the outputs of stand-alone ReLU layers, flattened, in the order of computation.
    The dense code, whose ReLU is fused, is not among them: CovType's 90-75-60-45-25-15 has 295 each
    in encoder and decoder, the images' convolutions 3,656 and 3,776.

    Parameters
    ----------
    network : {"dense", "conv"}
    shape : sequence of int
        Shape of one row.
    dims : sequence of int
        Widths (dense) or channels (conv: 16-8-8) from the input to the code.
    dropout : float
        After every hidden layer.
    experts : int

    Returns
    -------
    encoder : keras.Model
        Rows to codes (n, ...) and activations (n, width).
    decoders : keras.Model
        A list with the codes for each expert to logits of rows (n, experts, ...) and activations
        (n, experts, width).
    """
    encode, decode = PARTS[network]
    rows = keras.Input(tuple(shape))
    code, hidden = encode(rows, dims, dropout)
    encoder = keras.Model(rows, [code, join_tensors(hidden)], name="encoder")
    codes = [keras.Input(code.shape[1:]) for _ in range(experts)]
    parts = [decode(code, shape, dims, dropout) for code in codes]
    logits = layers.Reshape((experts, *shape))(join_tensors([output for output, _ in parts]))
    hidden = join_tensors([h for _, hidden in parts for h in hidden])
    hidden = layers.Reshape((experts, hidden.shape[1] // experts))(hidden)
    return encoder, keras.Model(codes, [logits, hidden], name="decoders")


def expert_activations(
    encoder: keras.Model, decoders: keras.Model, x: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Inputs of alarm and gate for rows, in inference mode.

    Returns
    -------
    shared : (n, encoder width) float32
    own : (n, experts, decoder width) float32
        Every decoder on the code of every row.
    """
    code, shared = encoder(x, training=False)
    return shared, decoders([code] * len(decoders.inputs), training=False)[1]


def expert_alarm(
    width: int,
    own_shape: Sequence[int],
    dims: Sequence[int],
    dropout: float,
    copies: int,
    seed: int,
    precision: str = "float32",
) -> keras.Model:
    """The alarm network that all experts share, once per label budget.

    Each copy is ``dims`` with ReLU and dropout, and one logit, on ``[encoder; decoder]``
    activations (ARGUE: 1000-500-200-75, .1). The kernel of the first layer is split, so that the
    encoder's part, which is the same for all experts, is computed once per row. All copies start
    from the same weights and drop the same units.

    Parameters
    ----------
    width : int
        Activations of the encoder.
    own_shape : (experts, decoder width)
    dims, dropout, copies, seed, precision
        See `libs.architecture.alarm.dense_alarm`.

    Returns
    -------
    keras.Model
        (n, width) and (n, experts, decoder width) to logits (n, experts, copies).
    """
    dtype = lookup(POLICIES, "precision", precision)
    experts, own_width = own_shape
    shared, own = keras.Input((width,)), keras.Input((experts, own_width))
    first = layers.Dense(copies * dims[0], name="shared", dtype=dtype)
    rest = layers.Dense(copies * dims[0], use_bias=False, name="own", dtype=dtype)
    for_all = layers.Reshape((1, copies * dims[0]), dtype=dtype)(first(shared))
    hidden = layers.Add(dtype=dtype)([for_all, rest(own)])
    hidden = layers.Reshape((experts, copies, dims[0]), dtype=dtype)(hidden)
    logits = _parallel_rest(hidden, dims, dropout, 1, seed, dtype)
    logits = layers.Reshape((experts, copies), dtype=dtype)(logits)
    alarm = keras.Model([shared, own], logits, name="alarm")
    kernel = _glorot((width + own_width, dims[0]), seed)
    first.set_weights([np.tile(kernel[:width], (1, copies)), np.zeros(copies * dims[0])])
    rest.set_weights([np.tile(kernel[width:], (1, copies))])
    return alarm


def gate(
    width: int,
    outputs: int,
    dims: Sequence[int],
    dropout: float,
    copies: int,
    seed: int,
    precision: str = "float32",
) -> keras.Model:
    """The gate, once per label budget: the responsible expert, or last "anomaly".

    Parameters
    ----------
    width : int
        Activations of the encoder.
    outputs : int
        Number of experts + 1.
    dims, dropout, copies, seed, precision
        As in `expert_alarm`.

    Returns
    -------
    keras.Model
        (n, width) to logits (n, copies, outputs).
    """
    dtype = lookup(POLICIES, "precision", precision)
    shared = keras.Input((width,))
    first = layers.Dense(copies * dims[0], name="shared", dtype=dtype)
    hidden = layers.Reshape((copies, dims[0]), dtype=dtype)(first(shared))
    logits = _parallel_rest(hidden, dims, dropout, outputs, seed, dtype)
    model = keras.Model(shared, logits, name="gate")
    kernel = _glorot((width, dims[0]), seed)
    first.set_weights([np.tile(kernel, (1, copies)), np.zeros(copies * dims[0])])
    return model


def _parallel_rest(
    hidden: keras.KerasTensor,
    dims: Sequence[int],
    dropout: float,
    outputs: int,
    seed: int,
    dtype: str,
) -> keras.KerasTensor:
    """All layers after the first kernel: (n, ..., copies, dims[0]) to (n, ..., copies, outputs)."""
    *_, copies, width = hidden.shape
    for i, units in enumerate([*dims[1:], outputs], start=1):
        dense = FusedDense(units, dropout, seed + i, dtype=dtype)
        hidden, kernel = dense(hidden), _glorot((width, units), seed + i)
        dense.set_weights([np.tile(kernel, (copies, 1, 1)), np.zeros((copies, units))])
        width = units
    return hidden


def _glorot(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.asarray(keras.initializers.GlorotUniform(seed)(shape))
