"""Encodings of rows for the Ensemble's readers, fitted on normal rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri

KNOTS = 1000
"""Quantiles of each feature that `Ranks` keeps."""
FAR = np.float32(1e12)
"""Upper bound on what is encoded: squares of distances stay finite."""
DIRECTIONS = 8
CELL = 4
"""Pixels between two histograms of `Strokes`."""
SMALLEST_IMAGE = 16
"""Side length in pixels below which an image has no `Strokes`."""
BLOCK = 512
"""Images that are encoded at a time."""


def _deviations(x: np.ndarray) -> np.ndarray:
    """Standard deviations of features; 1 where all rows are equal."""
    varies = x.max(axis=0) > x.min(axis=0)  # float32 sums leave constants a deviation
    return np.where(varies, x.std(axis=0), 1)


@dataclass(frozen=True)
class Plain:
    """The features themselves, up to `FAR`."""

    @classmethod
    def of(cls, x: np.ndarray) -> Self:
        """The encoding of normal rows."""
        return cls()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode rows (m, d)."""
        return np.clip(x, -FAR, FAR)


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
        middle = (high - low) / 3.29  # a Gaussian's deviation
        return cls(centre, np.where(high > low, middle, _deviations(x)).astype(np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode rows (m, d)."""
        with np.errstate(over="ignore"):
            return np.clip((x - self.centre) / self.scale, -FAR, FAR)


@dataclass(frozen=True)
class Ranks:
    """Each feature as the normal score of its rank among normal rows.

    Outside their range, a logarithmic distance is added.

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
        return cls(np.sort(x, axis=0)[places].T.copy(), _deviations(x).astype(np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode rows (m, d)."""
        n = self.knots.shape[1]
        normal_scores = ndtri(np.arange(1, 2 * n + 2) / (2 * n + 2)).astype(np.float32)
        z = np.empty(x.shape, np.float32)
        for j, knots in enumerate(self.knots):
            column = x[:, j]
            rank = np.searchsorted(knots, column, "left") + np.searchsorted(knots, column, "right")
            beyond = np.maximum(column - knots[-1], 0) - np.maximum(knots[0] - column, 0)
            with np.errstate(over="ignore"):
                far = np.log1p(np.minimum(np.abs(beyond) / self.scale[j], FAR))
            z[:, j] = normal_scores[rank] + np.sign(beyond) * far
        return z


@dataclass(frozen=True)
class Strokes:
    """Images as histograms of the directions of their edges, in overlapping cells.

    After Dalal and Triggs (CVPR 2005); channels are averaged and rows scaled to unit length.

    Attributes
    ----------
    shape : (3,) int
        Height, width and channels.
    """

    shape: np.ndarray

    @staticmethod
    def fits(shape: tuple[int, ...]) -> bool:
        """Whether rows of a shape are large enough images."""
        return len(shape) == 3 and min(shape[:2]) >= SMALLEST_IMAGE

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Encode flattened images (m, d)."""
        blocks = [self._histograms(x[i : i + BLOCK]) for i in range(0, len(x), BLOCK)]
        return np.concatenate(blocks)

    def _histograms(self, x: np.ndarray) -> np.ndarray:
        images = x.reshape(len(x), *self.shape).mean(axis=3)
        down, right = np.zeros_like(images), np.zeros_like(images)
        down[:, 1:-1] = images[:, 2:] - images[:, :-2]
        right[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
        strength = np.sqrt(down**2 + right**2) + 1e-6
        angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        cells = []
        for cos, sin in np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32):
            along = np.maximum(right * cos + down * sin, 0)
            cells.append(_pooled(along * (along / strength) ** 3))
        z = np.sqrt(np.stack(cells, axis=1)).reshape(len(x), -1)
        return z / (np.linalg.norm(z, axis=1, keepdims=True) + np.float32(1e-3))


def _pooled(images: np.ndarray) -> np.ndarray:
    """Sum over cells of `CELL` pixels, adding half of each neighbouring cell."""
    n, height, width = images.shape
    images = np.pad(images, ((0, 0), (0, -height % CELL), (0, -width % CELL)))
    rows, columns = images.shape[1] // CELL, images.shape[2] // CELL
    sums = images.reshape(n, rows, CELL, columns, CELL).sum(axis=(2, 4))
    sums = np.pad(sums, ((0, 0), (1, 1), (1, 1)))
    sums = sums[:, 1:-1] / 2 + (sums[:, :-2] + sums[:, 2:]) / 4
    return sums[:, :, 1:-1] / 2 + (sums[:, :, :-2] + sums[:, :, 2:]) / 4


Encoding = Plain | Robust | Ranks | Strokes
ENCODINGS = {"plain": Plain, "robust": Robust, "ranks": Ranks, "strokes": Strokes}
"""By the names under which they are saved."""


class EncodedRows:
    """Rows that several readers read: encoded once under each encoding.

    Parameters
    ----------
    x : (n, d) float32
    """

    def __init__(self, x: np.ndarray):
        self.x = x
        self._encoded: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.x)

    def under(self, encoding: Encoding) -> np.ndarray:
        """The rows under an encoding, (n, width) float32; not to be changed."""
        if id(encoding) not in self._encoded:
            self._encoded[id(encoding)] = encoding(self.x)
        return self._encoded[id(encoding)]
