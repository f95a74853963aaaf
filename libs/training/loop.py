"""The training that all networks share: a schedule of rows, compiled steps, a fused optimiser."""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from libs.training.early_stopping import Patience
from libs.training.optimisers import Adam, Optimiser
from libs.training.record import Training
from libs.utils.progress import progress
from libs.utils.seeds import derive_seed, numpy_seeded

Step = Callable[..., tf.Tensor]
"""``step(seed, *batch)`` makes one update and returns the loss; ``seed`` is int32 (2,)."""

CALL_BYTES = 32 * 2**20
"""Upper bound on the memory of the rows passed to one compiled call."""
CHUNK = 4096
"""Rows that are scored at a time."""
CALL_STEPS = 64
"""Upper bound on the updates of one compiled call, so that progress is shown often."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initialise the networks built inside from ``seed``.

    The global generators of Python and numpy are restored afterwards; TensorFlow's cannot be read
    and stays seeded.
    """
    state = random.getstate()
    try:
        with numpy_seeded(seed):
            keras.utils.set_random_seed(seed)
            yield
    finally:
        random.setstate(state)


def gradient_step(
    loss: Step,
    variables: Sequence[keras.Variable],
    learning_rate: float,
    optimiser: Optimiser = Adam,
) -> Step:
    """Make the usual step: ``optimiser`` applied to the gradient of ``loss(seed, *batch)``."""
    optimiser = optimiser(variables, learning_rate)

    def step(seed: tf.Tensor, *batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(optimiser.variables)
            value = loss(seed, *batch)
        optimiser.minimise(value, tape)
        return value

    return step


class CompiledStep:
    """A step as one graph that runs it on several batches; stages of a training share it.

    Parameters
    ----------
    step : callable
        See `Step`.
    batch_size : int
    rows : sequence of (n, ...) arrays
        Like those that the graph will take.
    """

    def __init__(self, step: Step, batch_size: int, rows: Sequence[np.ndarray]):
        self.batch_size = batch_size
        self._step = step
        number = tf.TensorSpec((), tf.int32)
        signature = [tf.TensorSpec((None, *r.shape[1:]), r.dtype) for r in rows]
        self.run = compiled(self._run, [number, number, *signature])

    def _run(self, seed: tf.Tensor, first: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
        """Sum of the losses of the batches that ``rows`` make, of which ``first`` is the number."""
        n, size = tf.shape(rows[0])[0], self.batch_size

        def add(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = [r[i * size : tf.minimum((i + 1) * size, n)] for r in rows]
            return i + 1, total + self._step(tf.stack([seed, first + i]), *batch)

        return tf.while_loop(lambda i, _: i * size < n, add, (0, 0.0))[1]


def train(
    step: Step | CompiledStep,
    rows: Sequence[np.ndarray],
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    name: str,
    order: Callable[[int], np.ndarray] | None = None,
    patience: Patience | None = None,
) -> Training:
    """Run ``step`` on every batch of ``epochs`` random orders of the rows.

    Only the batches of one compiled call are copied at a time: rows may be memory-mapped.

    Parameters
    ----------
    step : callable or CompiledStep
        Called once per batch; the last batch of an epoch may be smaller.
    rows : sequence of (n, ...) arrays
        Gathered by the same random order.
    batch_size, epochs : int
    seed : int
        Decides, with the name, the orders of rows and the seeds of the steps.
    name : str
        Of the step that is trained; shown with the progress.
    order : callable, optional
        ``order(epoch)`` gives the row numbers of an epoch, the same number in each. Default: all
        rows in random order.
    patience : Patience, optional
        Ends the training early.

    Raises
    ------
    ArithmeticError
        If a loss is not finite.
    """
    order = order or random_orders(np.ones(len(rows[0]), bool), seed, name)
    numbers = order(0)
    steps = math.ceil(len(numbers) / batch_size)
    graph = step if isinstance(step, CompiledStep) else CompiledStep(step, batch_size, rows)
    run = partial(graph.run, derive_seed(seed, name, "steps"))
    losses, start = [], time.perf_counter()
    with progress(name, steps * epochs) as advance:
        train_epoch = partial(_train_epoch, run, rows, batch_size, advance)
        for epoch in range(epochs):
            numbers = order(epoch) if epoch else numbers
            loss = train_epoch(numbers, epoch * steps, f"epoch {epoch + 1}/{epochs}")
            if not math.isfinite(loss):
                raise ArithmeticError(
                    f"{name}: the loss is {loss} in epoch {epoch + 1} of {epochs}; "
                    "check the inputs' range or lower the learning rate"
                )
            losses.append(loss)
            if patience and patience.should_stop():
                break
    if patience:
        patience.restore()
    seconds = time.perf_counter() - start
    return Training(len(rows[0]), len(losses), steps * len(losses), seconds, tuple(losses))


def _train_epoch(
    run: Callable[..., tf.Tensor],
    rows: Sequence[np.ndarray],
    batch_size: int,
    advance: Callable[[int, str], None],
    numbers: np.ndarray,
    first: int,
    title: str,
) -> float:
    """Run the steps of one epoch and return the mean loss of a batch.

    ``first`` is the number of the epoch's first step. A loss that is not finite ends the epoch.
    """
    batch_bytes = batch_size * sum(r[:1].nbytes for r in rows)
    per_call = max(1, min(CALL_STEPS, CALL_BYTES // max(1, batch_bytes))) * batch_size
    total, mean, done = 0.0, math.nan, 0
    for begin in range(0, len(numbers), per_call):
        batch = numbers[begin : begin + per_call]
        total += float(run(tf.constant(first + done), *(tf.constant(r[batch]) for r in rows)))
        steps = math.ceil(len(batch) / batch_size)
        done += steps
        mean = total / done
        if not math.isfinite(mean):
            break
        advance(steps, f"{title} loss {mean:.4f}")
    return mean


def schedule_of(detector: Any) -> dict[str, int]:
    """Arguments of `train` that are settings of every detector trained by it."""
    settings = {"batch_size": detector.batch_size, "epochs": detector.epochs}
    return settings | {"seed": detector.random_state}


def known_ranks(y: np.ndarray) -> np.ndarray:
    """Number of each known anomaly, int32 (n,): a label budget of b has those below b.

    A normal row, which belongs to every budget, is -1.
    """
    return np.where(y == 1, np.cumsum(y) - 1, -1).astype(np.int32)


def random_orders(keep: np.ndarray, seed: int, name: str) -> Callable[[int], np.ndarray]:
    """Make random orders of the rows that ``keep``, (n,) bool, marks.

    The relative order of two rows is that in the order of all n rows, whatever else is kept.
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
    return tf.function(partial(function), input_signature=signature, autograph=False)


def predict_in_batches(
    function: Callable[[tf.Tensor], tf.Tensor], x: np.ndarray, chunk: int
) -> np.ndarray:
    """Apply a compiled ``function`` to ``x`` in chunks of rows, into one float32 array."""
    parts = [
        np.asarray(function(tf.constant(np.asarray(x[i : i + chunk], np.float32))), np.float32)
        for i in range(0, len(x), chunk)
    ]
    return np.concatenate(parts)
