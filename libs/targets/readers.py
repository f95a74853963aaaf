"""The Ensemble's readers: distances to normal rows and votes of forests, as evidence.

A reader scores rows, (n,) float32, higher for anomalies. Its scores of normal rows that it has not
learned from calibrate it; see `Evidence`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from libs.targets.encodings import EncodedRows, Encoding

NEIGHBOURS = 5
CORE = 0.8
"""Fraction of the normal rows that are the core."""
CORE_WEIGHT = 0.2
"""Weight of the distance to the core beside that to all normal rows."""
CROWD = 0.1
"""Fraction of the normal rows whose mean distance tells whether a row belongs to the core."""
BLOCK = 512
"""Rows whose distances are computed at a time: few, so that they stay in the processor's cache."""
BINS = 4000
"""Upper bound on the normal scores that calibrate a reader."""
KNEE = 0.85
"""Quantile of normal scores above which the tail is taken to be exponential."""
FLOOR = 0.002
"""Fraction of votes at which the log odds of a forest are cut off."""


@dataclass(frozen=True)
class Neighbours:
    """Logarithm of a mean distance to the nearest normal rows, and to the nearest of their core.

    A few anomalies among the normal rows (pollution) are near to their like, so that all normal
    rows alone would hide a class of them. The core leaves out the rows that few others are near.
    As these are mostly rare kinds of normal rows, the distance to all rows counts more.

    Attributes
    ----------
    encoding : Encoding
    rows : (m, d) float32
        Encoded normal rows, the core first.
    core : int
        Number of rows of the core.
    """

    encoding: Encoding
    rows: np.ndarray
    core: int

    @classmethod
    def of(cls, encoding: Encoding, normal: np.ndarray) -> Self:
        """The reader of normal rows (m, d)."""
        rows = encoding(normal)
        k = min(max(NEIGHBOURS, int(CROWD * len(rows))), max(1, len(rows) - 1))
        blocks = _squared_distances(rows, rows, own=True)
        crowded = np.concatenate([_mean_distances(_smallest(squares, k)) for squares in blocks])
        order = np.argsort(crowded, kind="stable")
        return cls(encoding, rows[order], int(np.ceil(CORE * len(rows))))

    def normal_scores(self) -> np.ndarray:
        """Score each of its own rows against the others, (m,)."""
        return self._scores(self.rows, own=True)

    def __call__(self, x: EncodedRows) -> np.ndarray:
        """Scores of rows."""
        return self._scores(x.under(self.encoding), own=False)

    def _scores(self, z: np.ndarray, own: bool) -> np.ndarray:
        k = min(NEIGHBOURS, max(1, self.core - own))
        found = [np.zeros(0, np.float32)]
        for squares in _squared_distances(z, self.rows, own):
            core = _smallest(squares[:, : self.core], k)
            every = _smallest(np.concatenate([core, squares[:, self.core :]], axis=1), k)
            to_core, to_every = _mean_distances(core), _mean_distances(every)
            found.append(np.log((1 - CORE_WEIGHT) * to_every + CORE_WEIGHT * to_core + 1e-6))
        return np.concatenate(found)


def _squared_distances(z: np.ndarray, rows: np.ndarray, own: bool) -> Iterator[np.ndarray]:
    """Squared distances to rows, block by block; ``own``: of these rows, each to the others."""
    norms, factors = np.square(rows).sum(axis=1), -2 * rows.T
    for i in range(0, len(z), BLOCK):
        block = z[i : i + BLOCK]
        squares = block @ factors
        squares += norms
        squares += np.square(block).sum(axis=1)[:, None]
        if own and len(rows) > 1:
            places = np.arange(len(block))
            squares[places, i + places] = np.inf
        yield squares


def _smallest(values: np.ndarray, k: int) -> np.ndarray:
    """The k smallest values of each row, (n, k), in any order."""
    return np.partition(values, k - 1, axis=1)[:, :k]


def _mean_distances(squares: np.ndarray) -> np.ndarray:
    """Mean distance in each row of squared ones; roundings may have made some negative."""
    return np.sqrt(np.maximum(squares, 0)).mean(axis=1)


@dataclass(frozen=True)
class Forests:
    """Mean log odds of being anomalous, by forests of extremely randomised trees.

    Attributes
    ----------
    encodings : sequence of Encoding
        Encoding of the rows that each forest reads.
    models : sequence of ExtraTreesClassifier
    """

    encodings: Sequence[Encoding]
    models: Sequence[ExtraTreesClassifier]

    @classmethod
    def of(
        cls,
        normal: EncodedRows,
        other: EncodedRows,
        kinds: Sequence[tuple[Encoding, dict[str, Any]]],
        seed: int,
    ) -> tuple[Self, np.ndarray]:
        """Grow a forest for each pair of an encoding and scikit-learn's settings.

        Returns
        -------
        Forests
        (len(normal) + len(other),) float32
            Scores of its own rows by the trees that have not seen them (out of bag).
        """
        labels = np.repeat([0, 1], [len(normal), len(other)])
        models, votes = [], []
        for encoding, settings in kinds:
            rows = np.concatenate([normal.under(encoding), other.under(encoding)])
            model = ExtraTreesClassifier(
                bootstrap=True, oob_score=True, n_jobs=-1, random_state=seed, **settings
            ).fit(rows, labels)
            votes.append(log_odds(np.nan_to_num(model.oob_decision_function_[:, 1])))
            del model.oob_decision_function_  # as many rows as in training
            models.append(model.set_params(n_jobs=None))
        encodings = [encoding for encoding, _ in kinds]
        return cls(encodings, models), np.mean(votes, axis=0, dtype=np.float32)

    def __call__(self, x: EncodedRows) -> np.ndarray:
        """Scores of rows."""
        pairs = zip(self.encodings, self.models, strict=True)
        votes = [log_odds(model.predict_proba(x.under(e))[:, 1]) for e, model in pairs]
        return np.mean(votes, axis=0, dtype=np.float32)


def log_odds(votes: np.ndarray) -> np.ndarray:
    """Finite log odds of fractions of votes in [0, 1]."""
    return np.log((votes + FLOOR) / (1 - votes + FLOOR)).astype(np.float32)


def counter_examples(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many counter-examples as encoded normal rows (n, d), feature by feature.

    One half mixes features of different normal rows, the other is uniform over their range, widened
    by 10 % at both ends.
    """
    n, half = len(z), len(z) // 2
    shuffled = np.stack([column[rng.integers(0, n, half)] for column in z.T], axis=1)
    low, high = z.min(axis=0), z.max(axis=0)
    edge = 0.1 * (high - low)
    uniform = rng.uniform(low - edge, high + edge, (n - half, z.shape[1]))
    return np.concatenate([shuffled, uniform]).astype(np.float32)


@dataclass(frozen=True)
class Evidence:
    """-log p of a score under normal rows: by rank up to a knee, by an exponential tail above.

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
        body = -np.log((n - n * self.fraction(scores) + 0.5) / (n + 0.5))
        tail = self.top + (scores - self.knee) / self.scale
        return np.where(scores > self.knee, tail, np.minimum(body, self.top)).astype(np.float32)

    def fraction(self, scores: np.ndarray) -> np.ndarray:
        """Fraction of normal rows that score less, ties counted half, in [0, 1]."""
        ranks = np.searchsorted(self.scores, scores, "left")
        ranks = (ranks + np.searchsorted(self.scores, scores, "right")) / 2
        return ranks / len(self.scores)
