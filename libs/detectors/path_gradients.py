"""Integrated gradients: what each feature contributes to a score that can be differentiated."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from libs.detectors.attribution import GRADIENTS, Explanation
from libs.training.loop import compiled

POINTS = 33
"""Points of a path at which gradients are taken."""
SEARCHES = 2
"""How often the points move to where the score changes, before gradients are taken there."""
AT_ONCE = 1024
"""Points whose gradients are taken at a time: as quick as more, in a quarter of the memory."""
FAINT = 1e-9
"""Weight of a feature's way beside its gradients: where these vanish, the way decides."""

Score = Callable[[tf.Tensor], tf.Tensor]
"""Rows (m, ...) to scores (m,) or (m, columns), each row by itself."""


def path_graph(score: Score, shape: Sequence[int], points: int = POINTS) -> Callable:
    """Compile integrated gradients of a score (Sundararajan, Taly and Yan; ICML 2017).

    A feature's contribution is the integral of the score's gradient along the straight path from a
    reference row, times the feature's way. A score that rises from 0 to 1 within a thousandth of
    the path is flat elsewhere: so points are moved, twice, until path and changes of the score are
    shared out evenly among them; between two of them the trapezoidal rule is taken.

    What that misses of the score's change between two points is shared out among the features in
    proportion to the absolute values of their contributions there. Of smooth scores little is
    missed. R2-AD2's features, gradients of networks of ReLUs, jump where a unit switches on, which
    no derivative sees: there, as much may be missed as the score's difference.

    Parameters
    ----------
    score : callable
        See `Score`.
    shape : sequence of int
        Of one row.
    points : int
        On each path.

    Returns
    -------
    callable
        Rows (n, ...), reference rows (n, ...) and the number of a score's column to contributions
        (n, ...), scores at both ends (n,) and what was missed, as a sum of absolute values (n,).
    """
    rows = tf.TensorSpec((None, *shape), tf.float32)

    def explained(x: tf.Tensor, start: tf.Tensor, column: tf.Tensor) -> tuple[tf.Tensor, ...]:
        n = tf.shape(x)[0]

        def scores(path: tf.Tensor, k: int) -> tf.Tensor:
            return tf.reshape(tf.reshape(score(path), (n * k, -1))[:, column], (n, k))

        at = tf.repeat(tf.linspace(0.0, 1.0, points // 2 + 1)[None], n, axis=0)
        for k in [points // 2 + 1] * (SEARCHES - 1) + [points]:
            at = _shared_out(at, scores(_on_path(x, start, at), at.shape[1]), k)
        path = _on_path(x, start, at)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(path)
            found = scores(path, points)
        gradients = tape.gradient(found, path)
        gradients = tf.reshape(gradients, (n, points, int(np.prod(shape))))
        way = tf.reshape(x - start, (n, 1, int(np.prod(shape))))
        parts = _steps(at)[..., None] * 0.5 * (gradients[:, 1:] + gradients[:, :-1]) * way
        missed = _steps(found) - tf.reduce_sum(parts, axis=2)
        weights = tf.abs(parts) + FAINT * tf.abs(way)
        weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
        total = tf.reduce_sum(parts + missed[..., None] * weights, axis=1)
        ends = found[:, -1], found[:, 0]
        return tf.reshape(total, tf.shape(x)), *ends, tf.reduce_sum(tf.abs(missed), axis=1)

    return compiled(explained, [rows, rows, tf.TensorSpec((), tf.int32)])


def _on_path(x: tf.Tensor, start: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Rows (n · k, ...) at the fractions ``at``, (n, k), of the way; exact at both ends."""
    k = at.shape[1]
    fraction = tf.reshape(at, (-1, *[1] * (x.shape.rank - 1)))
    return (1.0 - fraction) * tf.repeat(start, k, 0) + fraction * tf.repeat(x, k, 0)


def _steps(values: tf.Tensor) -> tf.Tensor:
    """Differences of neighbouring columns."""
    return values[:, 1:] - values[:, :-1]


def _shared_out(at: tf.Tensor, scores: tf.Tensor, points: int) -> tf.Tensor:
    """New points on each path, between which lie equal parts of its length and score changes.

    Parameters
    ----------
    at, scores : (n, k) float32
        The points so far, from 0 to 1, ascending, and the scores there.
    points : int

    Returns
    -------
    (n, points) float32
        From 0 to 1, ascending.
    """
    change = tf.abs(_steps(scores))
    share = _steps(at) + tf.math.divide_no_nan(change, tf.reduce_sum(change, 1, keepdims=True))
    reached = tf.pad(tf.cumsum(share, axis=1), [[0, 0], [1, 0]])
    reached /= reached[:, -1:]
    level = tf.repeat(tf.linspace(0.0, 1.0, points)[None], tf.shape(at)[0], axis=0)
    after = tf.clip_by_value(tf.searchsorted(reached, level, side="right"), 1, at.shape[1] - 1)

    def ends(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(tf.gather(values, i, axis=1, batch_dims=1) for i in (after - 1, after))

    (low, high), (first, last) = ends(reached), ends(at)
    within = tf.math.divide_no_nan(level - low, high - low)
    return (1.0 - within) * first + within * last


def integrated_gradients(
    graph: Callable, x: np.ndarray, start: np.ndarray, column: int, at_once: int = AT_ONCE
) -> Explanation:
    """Explain the scores of rows; see `path_graph`, which made ``graph``.

    Parameters
    ----------
    x, start : (n, ...) float32
        Rows, and the reference row of each.
    column : int
        Of the scores.
    at_once : int
        Points of paths that are held at a time, but those of one row at least.

    Returns
    -------
    Explanation
        Without ``reference``.
    """
    rows = max(1, at_once // POINTS)
    parts = [
        [np.asarray(part) for part in graph(x[i : i + rows], start[i : i + rows], column)]
        for i in range(0, len(x), rows)
    ]
    contributions, scores, base, missed = map(np.concatenate, zip(*parts, strict=True))
    return Explanation(GRADIENTS, contributions, scores, base, missed=missed)
