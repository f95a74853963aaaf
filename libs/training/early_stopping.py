"""Early stopping on a validation loss that needs no labels; off unless a method has patience."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

HELD_OUT = 0.05
"""Fraction of the normal rows held out for the validation loss of a training with patience."""


def choose_held_out(groups: np.ndarray, seed: int) -> np.ndarray:
    """Choose `HELD_OUT` of the rows of every group, at random; a group keeps at least one row.

    Parameters
    ----------
    groups : (n,) int
    seed : int
        Seed of the run: all trainings on the same rows hold out the same ones.

    Returns
    -------
    (n,) bool
    """
    rng = np.random.default_rng(derive_seed(seed, "held out"))
    chosen = np.zeros(len(groups), bool)
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        chosen[rows[: round(HELD_OUT * len(rows))]] = True
    return chosen


class Patience:
    """Early stopping: ends a training whose validation loss no longer falls.

    The weights of the best epoch are restored. The loss needs no labels: it is the training loss on
    held-out normal rows.

    Parameters
    ----------
    epochs : int
        Epochs without a new best loss after which training stops.
    loss : callable
        ``loss(*batch)`` gives the losses of a batch's rows, (b,).
    rows : sequence of (n, ...) arrays
    batch_size : int
    variables : sequence of keras.Variable
        The weights that are trained.
    """

    def __init__(
        self,
        epochs: int,
        loss: Callable[..., tf.Tensor],
        rows: Sequence[np.ndarray],
        batch_size: int,
        variables: Sequence[keras.Variable],
    ):
        if epochs < 1 or not len(rows[0]):
            raise UserError(
                f"patience {epochs} with {len(rows[0])} rows held out: expected at least one epoch "
                "and one row; without patience no row is held out"
            )
        self.epochs = epochs
        self.rows = rows
        self.batch_size = batch_size
        self.variables = variables
        signature = [tf.TensorSpec((None, *r.shape[1:]), r.dtype) for r in rows]
        self._loss = tf.function(partial(loss), input_signature=signature)  # see `loop.compiled`
        self._best, self._waited = math.inf, 0
        self._weights = [v.numpy() for v in variables]

    def should_stop(self) -> bool:
        """Evaluate the loss after an epoch and tell whether training should stop."""
        total = 0.0
        for i in range(0, len(self.rows[0]), self.batch_size):
            batch = [tf.constant(r[i : i + self.batch_size]) for r in self.rows]
            total += float(tf.reduce_sum(self._loss(*batch)))
        self._waited += 1
        if total < self._best:
            self._best, self._waited = total, 0
            self._weights = [v.numpy() for v in self.variables]
        return self._waited >= self.epochs

    def restore(self) -> None:
        """Restore the weights of the best epoch."""
        for variable, value in zip(self.variables, self._weights, strict=True):
            variable.assign(value)
