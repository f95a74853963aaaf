"""Alarm networks: they read a target's features and say how anomalous a row is."""

from collections.abc import Sequence
from itertools import pairwise

import keras
import numpy as np
from keras import layers


def dense_alarm(
    width: int, dims: Sequence[int], dropout: float, copies: int, seed: int
) -> keras.Model:
    """Several dense alarm networks side by side, with the same initial weights.

    Each is ``dims`` with ReLU, dropout after the last, and one logit (A3: 1000-500-200-75, .1).
    They read the same features and share nothing else, so that one product serves the first layer
    of all and one batched product each further layer. All copies drop the same units.

    Parameters
    ----------
    width : int
        Features per row.
    dims : sequence of int
    dropout : float
    copies : int
        Number of networks, one per label budget.
    seed : int
        Decides weights and dropout, for one copy as for many.

    Returns
    -------
    keras.Model
        (n, width) to logits (n, copies).
    """
    first, *others = dims
    model = keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(copies * first, activation="relu"),
            layers.Reshape((copies, first)),
            *(_parallel_dense(copies, units, "relu") for units in others),
            layers.Dropout(dropout, noise_shape=(None, 1, dims[-1]), seed=seed),
            _parallel_dense(copies, 1, None),
            layers.Reshape((copies,)),
        ],
        name="alarm",
    )
    sizes = [width, *dims, 1]
    weights = []
    for i, (fan_in, units) in enumerate(pairwise(sizes)):
        kernel = np.asarray(keras.initializers.GlorotUniform(seed + i)((fan_in, units)))
        wide = np.tile(kernel, (1, copies)) if i == 0 else np.tile(kernel, (copies, 1, 1))
        shape = (copies * units,) if i == 0 else (copies, units)
        weights += [wide, np.zeros(shape, np.float32)]
    model.set_weights(weights)
    return model


def _parallel_dense(copies: int, units: int, activation: str | None) -> layers.Layer:
    """One dense layer per copy: (n, copies, inputs) to (n, copies, units)."""
    return layers.EinsumDense(
        "nci,cio->nco", (copies, units), bias_axes="co", activation=activation
    )
