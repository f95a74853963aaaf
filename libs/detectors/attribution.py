"""What each feature contributes to a score: by the errors it is a mean of, or by swaps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

GRADIENTS = "integrated gradients"
ERRORS = "reconstruction errors"
SWAPS = "feature swaps"
PARTS = "evidence of the readers"
SWAPPED = 4096
"""Rows with swapped features that are scored together, as each call of a forest has its price."""
DOUBTFUL = 0.5
"""An explanation is doubtful if gradients missed more than this fraction of its scores' difference.
"""


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
        see `libs.detectors.path_gradients.path_graph`. None for errors.
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
