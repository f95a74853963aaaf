"""Alarm networks: they score how anomalous a row is by a target's features."""

from collections.abc import Sequence
from itertools import pairwise

import keras
import numpy as np
from keras import layers

from libs.utils.errors import lookup

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Precisions of products, and Keras' names for them; weights are float32 in both."""


def dense_alarm(
    width: int,
    dims: Sequence[int],
    dropout: float | Sequence[float],
    copies: int,
    seed: int,
    precision: str = "float32",
) -> keras.Model:
    """Several dense alarm networks side by side, with the same initial weights.

    Each is ``dims`` with ReLU, dropout, and one logit (A3: 1000-500-200-75, .1 after the last).
    They read the same features but share no weights; one product computes the first layer of all
    copies, and one batched product each further layer. All copies drop the same units.

    Parameters
    ----------
    width : int
        Features per row.
    dims : sequence of int
    dropout : float, or one float for each of ``dims``
        Rate after the last hidden layer, or after each.
    copies : int
        Number of networks, one per label budget.
    seed : int
        Decides weights and dropout, for one copy as for many.
    precision : {"float32", "bfloat16"}
        Of products and outputs; the weights are float32.

    Returns
    -------
    keras.Model
        (n, width) to logits (n, copies).

    Raises
    ------
    UserError
        If the precision has another name.
    """
    dtype = lookup(POLICIES, "precision", precision)
    first, *others = dims
    last_only = np.isscalar(dropout)
    rates = [0.0] * len(others) + [dropout] if last_only else list(dropout)
    stack = [keras.Input((width,))]
    for i, (units, rate) in enumerate(zip(dims, rates, strict=True)):
        if i == 0:
            stack += [layers.Dense(copies * first, activation="relu", dtype=dtype)]
            stack += [layers.Reshape((copies, first), dtype=dtype)]
        else:
            stack += [_parallel_dense(copies, units, "relu", dtype)]
        shape, own = (None, 1, units), seed + len(others) - i
        stack += [layers.Dropout(rate, noise_shape=shape, seed=own, dtype=dtype)]
    stack += [_parallel_dense(copies, 1, None, dtype), layers.Reshape((copies,), dtype=dtype)]
    model = keras.Sequential(stack, name="alarm")
    model.set_weights(_initial_weights([width, *dims, 1], copies, seed))
    return model


def _initial_weights(sizes: Sequence[int], copies: int, seed: int) -> list[np.ndarray]:
    """Kernels and zero biases of `dense_alarm`, the same for all copies."""
    weights = []
    for i, (fan_in, units) in enumerate(pairwise(sizes)):
        kernel = np.asarray(keras.initializers.GlorotUniform(seed + i)((fan_in, units)))
        wide = np.tile(kernel, (1, copies)) if i == 0 else np.tile(kernel, (copies, 1, 1))
        shape = (copies * units,) if i == 0 else (copies, units)
        weights += [wide, np.zeros(shape, np.float32)]
    return weights


def _parallel_dense(copies: int, units: int, activation: str | None, dtype: str) -> layers.Layer:
    """One dense layer per copy: (n, copies, inputs) to (n, copies, units)."""
    return layers.EinsumDense(
        "nci,cio->nco", (copies, units), bias_axes="co", activation=activation, dtype=dtype
    )


def sequence_alarm(
    steps: int,
    width: int,
    dims: Sequence[int],
    dropout: float,
    name: str,
    precision: str = "float32",
) -> keras.Model:
    """R2-AD2's alarm network: batch normalisation, then a head of LSTMs and dense layers.

    The head is two LSTMs a1, a2, dense layers a3, a4, ... with ReLU, and one logit. Dropout
    applies to the inputs of the LSTMs and the outputs of the dense layers. For a single step all
    layers are dense (authors' code).

    Parameters
    ----------
    steps, width : int
        Of the sequence. All steps share one normalisation of ``width`` statistics.
    dims : sequence of two or more ints
        R2-AD2: 1000-500-200-75.
    dropout : float
        R2-AD2: .4.
    name : str
        Of the model, for `side_by_side`.
    precision : {"float32", "bfloat16"}
        Of the head's products and outputs; the weights and the normalisation are float32.

    Returns
    -------
    keras.Model
        (n, steps, width) to logits (n, 1); its two layers are the normalisation and the head.
    """
    dtype = lookup(POLICIES, "precision", precision)

    def lstm(units: int, **kwargs: bool) -> layers.Layer:
        return layers.LSTM(units, dropout=dropout, unroll=True, dtype=dtype, **kwargs)

    head, dense = [keras.Input((steps, width))], dims
    if steps > 1:
        first, second, *dense = dims
        head += [lstm(first, return_sequences=True), lstm(second)]
    head += [layers.Flatten(dtype=dtype)]
    for units in dense:
        head += [layers.Dense(units, activation="relu", dtype=dtype)]
        head += [layers.Dropout(dropout, dtype=dtype)]
    head = keras.Sequential([*head, layers.Dense(1, dtype=dtype)], name="head")
    normalisation = layers.BatchNormalization(name="normalisation")
    return keras.Sequential([keras.Input((steps, width)), normalisation, head], name=name)


def side_by_side(networks: Sequence[keras.Model], name: str) -> keras.Model:
    """Join networks that read the same input, one per label budget; their outputs are concatenated.

    Names of the networks must differ.
    """
    x = keras.Input(networks[0].input_shape[1:])
    outputs = layers.Concatenate(axis=1)([network(x) for network in networks])
    return keras.Model(x, outputs, name=name)
