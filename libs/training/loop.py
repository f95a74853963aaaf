"""The training that all networks share: a schedule of rows, compiled steps, a fused optimiser."""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from libs.training.early_stopping import Patience
from libs.training.optimisers import Adam, Optimiser
from libs.utils.progress import progress
from libs.utils.seeds import derive_seed

Step = Callable[..., tf.Tensor]
"""``step(seed, *batch)`` makes one update and returns the loss; ``seed`` is int32 (2,)."""

CALL_BYTES = 32 * 2**20
"""Rows handed to one compiled call take at most this much memory."""
CHUNK = 4096
"""Rows that are scored at a time."""
CALL_STEPS = 64
"""At most this many updates are made by one compiled call, so that progress stays lively."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let networks that are built inside start from ``seed``.

    The global generators of Python and numpy go on afterwards as if nothing had been; TensorFlow's
    cannot be read and stays seeded.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (the user's own)
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


@dataclass(frozen=True)
class Training:
    """What a training did: so an undertrained network cannot pass for a method."""

    rows: int
    epochs: int
    updates: int
    seconds: float
    losses: tuple[float, ...] = ()

    @classmethod
    def of_each(cls, trainings: Sequence["Training"]) -> "Training":
        """Several networks that learned from the same rows, each for as long: losses add up."""
        losses = tuple(map(sum, zip(*(t.losses for t in trainings), strict=True)))
        first, seconds = trainings[0], sum(t.seconds for t in trainings)
        return cls(first.rows, first.epochs, first.updates, seconds, losses)

    @classmethod
    def of_stages(cls, stages: Sequence["Training"]) -> "Training":
        """Trainings one after the other; the rows are those of the last."""
        epochs, updates = sum(t.epochs for t in stages), sum(t.updates for t in stages)
        losses = tuple(loss for t in stages for loss in t.losses)
        return cls(stages[-1].rows, epochs, updates, sum(t.seconds for t in stages), losses)


def gradient_step(
    loss: Step,
    variables: Sequence[keras.Variable],
    learning_rate: float,
    optimiser: Optimiser = Adam,
) -> Step:
    """The ordinary step: ``optimiser`` on the gradient of ``loss(seed, *batch)``."""
    optimiser = optimiser(variables, learning_rate)

    def step(seed: tf.Tensor, *batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(optimiser.variables)
            value = loss(seed, *batch)
        optimiser.minimise(value, tape)
        return value

    return step


def _compiled(
    step: Step, batch_size: int, seed: int, rows: Sequence[np.ndarray]
) -> Callable[..., tf.Tensor]:
    """Make one graph that takes the rows of several batches and runs ``step`` on each in turn."""
    signature = [tf.TensorSpec((None, *r.shape[1:]), r.dtype) for r in rows]

    def run(first: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
        n = tf.shape(rows[0])[0]
        total = 0.0
        for i in tf.range((n + batch_size - 1) // batch_size):
            batch = [r[i * batch_size : tf.minimum((i + 1) * batch_size, n)] for r in rows]
            total += step(tf.stack([seed, first + i]), *batch)
        return total

    return compiled(run, [tf.TensorSpec((), tf.int32), *signature])


def train(
    step: Step,
    rows: Sequence[np.ndarray],
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    name: str,
    order: Callable[[int], np.ndarray] | None = None,
    patience: Patience | None = None,
) -> Training:
    """Run ``step`` over ``epochs`` random orders of the rows.

    The rows stay where they are (an array or a memory-mapped file); only the batches of one
    compiled call are gathered at a time.

    Parameters
    ----------
    step : callable
        See `Step`. Called once per batch; the last batch of an epoch may be smaller.
    rows : sequence of (n, ...) arrays
        Gathered by the same random order.
    batch_size, epochs : int
    seed : int
        Decides, with the name, the orders of rows and the seeds of the steps.
    name : str
        Of the step that is trained; shown with the progress.
    order : callable, optional
        ``order(epoch)`` gives the row numbers of an epoch, as many in each. Default: all rows in a
        random order.
    patience : Patience, optional
        Ends the training early.

    Returns
    -------
    Training

    Raises
    ------
    ArithmeticError
        If a loss is not finite.
    """
    order = order or order_of(np.ones(len(rows[0]), bool), seed, name)
    numbers = order(0)
    n = len(numbers)
    steps = math.ceil(n / batch_size)
    row_bytes = sum(r[:1].nbytes for r in rows)
    per_call = max(1, min(CALL_STEPS, CALL_BYTES // max(1, batch_size * row_bytes))) * batch_size
    run = _compiled(step, batch_size, derive_seed(seed, name, "steps"), rows)
    losses, start = [], time.perf_counter()
    with progress(name, steps * epochs) as advance:
        for epoch in range(epochs):
            numbers = order(epoch) if epoch else numbers
            total = 0.0
            for begin in range(0, n, per_call):
                chosen = numbers[begin : begin + per_call]
                first = epoch * steps + begin // batch_size
                total += float(run(tf.constant(first), *(tf.constant(r[chosen]) for r in rows)))
                mean = total / math.ceil((begin + len(chosen)) / batch_size)
                if not math.isfinite(mean):
                    raise ArithmeticError(
                        f"{name}: the loss is {mean} in epoch {epoch + 1} of {epochs}; "
                        "check the inputs' range or lower the learning rate"
                    )
                advance(
                    math.ceil(len(chosen) / batch_size),
                    f"epoch {epoch + 1}/{epochs} loss {mean:.4f}",
                )
            losses.append(mean)
            if patience and patience.ended():
                break
    if patience:
        patience.restore()
    seconds = time.perf_counter() - start
    return Training(len(rows[0]), len(losses), steps * len(losses), seconds, tuple(losses))


def known_ranks(y: np.ndarray) -> np.ndarray:
    """Which known anomaly each row is, int32 (n,): a label budget of b has the rows below b.

    A normal row, which belongs to every budget, is -1.
    """
    return np.where(y == 1, np.cumsum(y) - 1, -1).astype(np.int32)


def order_of(keep: np.ndarray, seed: int, name: str) -> Callable[[int], np.ndarray]:
    """Random orders of those rows that ``keep``, (n,) bool, marks.

    Rows follow each other as they do in the order of all n rows, whatever else is kept.
    """

    def order(epoch: int) -> np.ndarray:
        numbers = np.random.default_rng(derive_seed(seed, name, epoch)).permutation(len(keep))
        return numbers[keep[numbers]]

    return order


def row_graph(function: Callable[[tf.Tensor], tf.Tensor], shape: Sequence[int]) -> Callable:
    """One graph of ``function`` for any number of float32 rows of ``shape``."""
    return compiled(function, [tf.TensorSpec((None, *shape), tf.float32)])


def compiled(function: Callable, signature: Sequence[tf.TensorSpec]) -> Callable:
    """`tf.function`, without its warning of retracing where many detectors have a graph each.

    TensorFlow counts the graphs of one piece of code; a partial is a new piece each time.
    """
    return tf.function(partial(function), input_signature=signature)


def predict_in_batches(
    function: Callable[[tf.Tensor], tf.Tensor], x: np.ndarray, chunk: int
) -> np.ndarray:
    """Apply a compiled ``function`` to ``x`` in chunks of rows, into one float32 array."""
    parts = [
        np.asarray(function(tf.constant(np.asarray(x[i : i + chunk], np.float32))), np.float32)
        for i in range(0, len(x), chunk)
    ]
    return np.concatenate(parts)
