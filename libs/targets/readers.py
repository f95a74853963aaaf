"""What the Ensemble reads of a row: distances to normal rows, votes of forests, as evidence.

A reader is fitted on normal rows, gives scores of rows, (n,) float32, higher for anomalies, and
knows its scores of normal rows that it has not learned from (``normal``), by which `Evidence`
calibrates it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri
from sklearn.ensemble import ExtraTreesClassifier

KNOTS = 1000
"""Quantiles of each feature that the rank encoding keeps."""
NEIGHBOURS = 5
BLOCK = 2048
"""Rows whose distances are computed at a time."""
BINS = 4000
"""Normal scores that calibrate a reader, at most."""
KNEE = 0.85
"""Above this quantile of normal scores the tail is exponential."""
FLOOR = 0.002
"""Share of votes below which the log odds of a forest end."""


@dataclass(frozen=True)
class Robust:
    """Each feature relative to its median and to the range of its middle 90 %.

    Attributes
    ----------
    centre, scale : (d,) float32
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Self:
        """The encoding of normal rows (n, d)."""
        low, centre, high = np.quantile(x, (0.05, 0.5, 0.95), axis=0).astype(np.float32)
        wide = np.where(high > low, (high - low) / 3.29, x.std(axis=0))  # a Gaussian's deviation
        return cls(centre, np.where(wide > 0, wide, 1).astype(np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode rows (m, d)."""
        return (x - self.centre) / self.scale


@dataclass(frozen=True)
class Ranks:
    """Each feature as the normal score of its rank among normal rows.

    Beyond their range, a logarithmic distance is added.

    Attributes
    ----------
    knots : (d, k) float32
        Quantiles of each feature, ascending.
    scale : (d,) float32
        Standard deviations.
    """

    knots: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> Self:
        """The encoding of normal rows (n, d)."""
        places = np.linspace(0, len(x) - 1, min(len(x), KNOTS)).round().astype(int)
        std = x.std(axis=0)
        return cls(
            np.sort(x, axis=0)[places].T.copy(), np.where(std > 0, std, 1).astype(np.float32)
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode rows (m, d)."""
        n = self.knots.shape[1]
        normal_scores = ndtri(np.arange(1, 2 * n + 2) / (2 * n + 2)).astype(np.float32)
        z = np.empty(x.shape, np.float32)
        for j, knots in enumerate(self.knots):
            column = x[:, j]
            rank = np.searchsorted(knots, column, "left") + np.searchsorted(knots, column, "right")
            beyond = np.maximum(column - knots[-1], 0) - np.maximum(knots[0] - column, 0)
            far = np.sign(beyond) * np.log1p(np.abs(beyond) / self.scale[j])
            z[:, j] = normal_scores[rank] + far
        return z


Encoding = Robust | Ranks


@dataclass(frozen=True)
class Neighbours:
    """Logarithm of the mean distance to the nearest of some normal rows.

    Attributes
    ----------
    encoding : Encoding
    rows : (m, d) float32
        Encoded normal rows.
    """

    encoding: Encoding
    rows: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Scores of its own rows, each among the others, (m,)."""
        return self._distances(self.rows, skip=1)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores of rows (n, d)."""
        return self._distances(self.encoding(x), skip=0)

    def _distances(self, z: np.ndarray, skip: int) -> np.ndarray:
        """Without the ``skip`` nearest, which are a row itself."""
        k = min(NEIGHBOURS, max(1, len(self.rows) - skip)) + skip
        norms = np.square(self.rows).sum(axis=1)
        found = np.empty(len(z), np.float32)
        for i in range(0, len(z), BLOCK):
            block = z[i : i + BLOCK]
            squares = norms - 2 * (block @ self.rows.T) + np.square(block).sum(axis=1)[:, None]
            nearest = np.partition(squares, min(k, len(norms)) - 1, axis=1)[:, :k]
            distances = np.sqrt(np.maximum(np.sort(nearest, axis=1)[:, skip:], 0))
            found[i : i + BLOCK] = np.log(distances.mean(axis=1) + 1e-6)
        return found


@dataclass(frozen=True)
class Forest:
    """Log odds that a forest of extremely randomised trees gives against normal rows.

    Attributes
    ----------
    model : ExtraTreesClassifier
        Scores of its own rows are out of bag.
    encoding : callable, optional
        Of the rows that it reads.
    """

    model: ExtraTreesClassifier
    encoding: Callable[[np.ndarray], np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        normal: np.ndarray,
        other: np.ndarray,
        trees: int,
        seed: int,
        encoding: Encoding | None = None,
        **settings: int,
    ) -> tuple[Self, np.ndarray]:
        """A forest of encoded rows, and its out-of-bag scores of the normal ones."""
        labels = np.repeat([0, 1], [len(normal), len(other)])
        model = ExtraTreesClassifier(
            trees, bootstrap=True, oob_score=True, n_jobs=-1, random_state=seed, **settings
        ).fit(np.concatenate([normal, other]), labels)
        votes = model.oob_decision_function_[: len(normal), 1]
        del model.oob_decision_function_  # as many rows as in training
        model.set_params(n_jobs=None)
        return cls(model, encoding), log_odds(np.nan_to_num(votes))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores of rows (n, d)."""
        z = x if self.encoding is None else self.encoding(x)
        return log_odds(self.model.predict_proba(z)[:, 1])


def log_odds(votes: np.ndarray) -> np.ndarray:
    """Log odds of shares of votes in [0, 1]; finite."""
    return np.log((votes + FLOOR) / (1 - votes + FLOOR)).astype(np.float32)


def counter_examples(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many rows as the encoded normal ones (n, d), each feature by itself.

    One half takes features of unrelated normal rows, the other uniform values of their range, 10 %
    wider at both ends.
    """
    n, half = len(z), len(z) // 2
    shuffled = np.stack([column[rng.integers(0, n, half)] for column in z.T], axis=1)
    low, high = z.min(axis=0), z.max(axis=0)
    edge = 0.1 * (high - low)
    uniform = rng.uniform(low - edge, high + edge, (n - half, z.shape[1]))
    return np.concatenate([shuffled, uniform]).astype(np.float32)


@dataclass(frozen=True)
class Evidence:
    """-log p of a score under normal rows: of its rank up to a knee, of an exponential tail above.

    Attributes
    ----------
    scores : (m,) float32
        Normal scores, ascending.
    knee, top, scale : float
        Where the tail begins, its evidence there, and its mean excess.
    """

    scores: np.ndarray
    knee: float
    top: float
    scale: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Self:
        """Calibrate on scores of normal rows that the reader has not learned from."""
        places = np.unique(np.linspace(0, len(scores) - 1, BINS).astype(int))
        scores = np.sort(scores)[places]
        knee = float(np.quantile(scores, KNEE))
        excess = scores[scores > knee] - knee
        top = -np.log(max(len(excess), 0.5) / len(scores))
        scale = max(float(excess.mean()) if len(excess) else 0.0, 1e-3)
        return cls(scores, knee, float(top), scale)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Evidence of scores, (n,) float32, in [0, inf)."""
        n = len(self.scores)
        body = -np.log((n - n * self.share(scores) + 0.5) / (n + 0.5))
        tail = self.top + (scores - self.knee) / self.scale
        return np.where(scores > self.knee, tail, np.minimum(body, self.top)).astype(np.float32)

    def share(self, scores: np.ndarray) -> np.ndarray:
        """Share of normal rows that score less, ties counted half, in [0, 1]."""
        ranks = np.searchsorted(self.scores, scores, "left")
        ranks = (ranks + np.searchsorted(self.scores, scores, "right")) / 2
        return ranks / len(self.scores)
