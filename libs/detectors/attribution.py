"""What each feature contributes to a score: integrated gradients, or the errors it is a mean of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from libs.training.loop import compiled

GRADIENTS = "integrated gradients"
ERRORS = "reconstruction errors"
SWAPS = "feature swaps"
PARTS = "evidence of the readers"
POINTS = 33
"""Points of a path at which gradients are taken."""
SEARCHES = 2
"""How often the points move to where the score changes, before gradients are taken there."""
AT_ONCE = 1024
"""Points whose gradients are taken at a time: as quick as more, in a quarter of the memory."""
SWAPPED = 4096
"""Rows with swapped features that are scored together, as each call of a forest has its price."""
FAINT = 1e-9
"""Weight of a feature's way beside its gradients: where these vanish, the way decides."""

DOUBTFUL = 0.5
"""An explanation is doubtful if gradients missed more than this fraction of its scores' difference.
"""

Score = Callable[[tf.Tensor], tf.Tensor]
"""Rows (m, ...) to scores (m,) or (m, columns), each row by itself."""


@dataclass(frozen=True)
class Explanation:
    """What each feature, or each layer, contributes to the scores of rows.

    The contributions of a row add up to ``scores - base``.

    Attributes
    ----------
    method : str
        `GRADIENTS`, `SWAPS`, `ERRORS` or `PARTS`.
    contributions : (n, ...) float32
        Of the rows' shape, or (n, layers). Above 0: more anomalous for it.
    scores : (n,) float32
    base : (n,) float32
        Score of the reference row; 0 for errors.
    reference : (n,) int64, optional
        Number of the reference row that a path starts at; None for errors.
    missed : (n,) float32, optional
        How much of the score's changes along the path gradients missed, and was then shared out;
        see `path_graph`. None for errors.
    names : tuple of str, optional
        Of the layers.
    """

    method: str
    contributions: np.ndarray
    scores: np.ndarray
    base: np.ndarray
    reference: np.ndarray | None = None
    missed: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    @property
    def doubtful(self) -> np.ndarray:
        """Which rows' contributions are not to be relied on, (n,) bool; see `DOUBTFUL`."""
        if self.missed is None:
            return np.zeros(len(self.scores), bool)
        return self.missed > DOUBTFUL * np.abs(self.scores - self.base)

    @classmethod
    def joined(cls, parts: Sequence["Explanation"]) -> "Explanation":
        """The explanations of consecutive rows as one."""

        def whole(name: str) -> np.ndarray | None:
            arrays = [getattr(part, name) for part in parts]
            return None if arrays[0] is None else np.concatenate(arrays)

        arrays = ("contributions", "scores", "base", "reference", "missed")
        return cls(parts[0].method, *map(whole, arrays), parts[0].names)


def of_errors(errors: np.ndarray) -> Explanation:
    """Explain scores that are the mean of each row's ``errors``, float32 (n, ...)."""
    contributions = errors / np.prod(errors.shape[1:], dtype=np.float32)
    scores = contributions.reshape(len(errors), -1).sum(axis=1)
    return Explanation(ERRORS, contributions, scores, np.zeros_like(scores))


def of_swaps(
    score: Callable[[np.ndarray], np.ndarray], x: np.ndarray, start: np.ndarray
) -> Explanation:
    """Explain scores of any kind by swapping features of a row for those of a reference row.

    Features go in the order of what their swap alone takes from the score, the largest first; a
    feature's contribution is what the score loses at its turn. So they add up exactly.

    Parameters
    ----------
    score : callable
        Rows (m, ...) to scores (m,).
    x, start : (n, ...) float32
        Rows and their reference rows.
    """
    flat, ends = x.reshape(len(x), 1, -1), start.reshape(len(x), 1, -1)
    k = flat.shape[-1]
    contributions = np.zeros((len(x), k), np.float32)
    values = np.empty((2, len(x)), np.float32)

    def scores(rows: np.ndarray) -> np.ndarray:
        return score(rows.reshape(-1, *x.shape[1:])).reshape(rows.shape[:2])

    step = max(1, SWAPPED // (k + 1))
    for some in (slice(i, i + step) for i in range(0, len(x), step)):
        row, end = flat[some], ends[some]
        order = np.argsort(scores(np.where(np.eye(k, dtype=bool), end, row)), kind="stable")
        turn = np.argsort(order)[:, None]  # at which turn each feature is swapped
        path = scores(np.where(np.arange(k + 1)[:, None] > turn, end, row))
        np.put_along_axis(contributions[some], order, path[:, :-1] - path[:, 1:], axis=1)
        values[:, some] = path[:, 0], path[:, -1]
    return Explanation(SWAPS, contributions.reshape(x.shape), *values)


def nearest(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Number of the row of ``reference`` at the least Euclidean distance, int64 (n,)."""
    # squared distances are small differences of large numbers: float64
    x, reference = (v.reshape(len(v), -1).astype(np.float64) for v in (x, reference))
    return (np.square(reference).sum(axis=1) - 2 * x @ reference.T).argmin(axis=1)


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


def strongest(
    contributions: np.ndarray, names: Sequence[str], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features that raise each row's score most, the strongest first.

    Parameters
    ----------
    contributions : (n, ...) float
    names : sequence of str
        Of the features, in the order of a flattened row.
    k : int
        How many; at most as many as there are features.

    Returns
    -------
    names : (n, k) str
    contributions : (n, k) float
    """
    flat = contributions.reshape(len(contributions), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :k]
    return np.asarray(names, str)[order], np.take_along_axis(flat, order, axis=1)
