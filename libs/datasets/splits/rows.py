"""Rows that need not fit into memory: views of a file, read in blocks."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

BLOCK_BYTES = 64 * 2**20
"""Upper bound on the memory of one block of rows."""
HELD_BYTES = 256 * 2**20
"""Rows that take more memory than this are read where they are instead of copied."""


class Rows:
    """A view of rows of an array, scaled when read: ``(base[numbers] - low) / span``.

    ``rows[i:j]`` and ``rows[numbers]`` gather float32 arrays; ``rows[mask]`` is a view again, so
    that selecting rows costs no memory.

    Parameters
    ----------
    base : (n, ...) array or memory-mapped file
    numbers : (m,) int, optional
        Rows of ``base``, in this order; default: all.
    low, span : float32, optional
        Of each feature, or one for all; default: rows stay as they are.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        base: np.ndarray,
        numbers: np.ndarray | None = None,
        low: np.ndarray | None = None,
        span: np.ndarray | None = None,
    ):
        self.base = base
        self.numbers = np.arange(len(base)) if numbers is None else numbers
        self.low = low
        self.span = span

    @property
    def unscaled(self) -> "Rows":
        """The same rows of the array at the bottom of all views, as they are there."""
        if not isinstance(self.base, Rows):
            return Rows(self.base, self.numbers)
        below = self.base.unscaled
        return Rows(below.base, below.numbers[self.numbers])

    def scale(self, low: np.ndarray, span: np.ndarray) -> "Rows":
        """The same rows of the same base, scaled."""
        return Rows(self.base, self.numbers, low, span)

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, ...), as of an array."""
        return (len(self.numbers), *self.base.shape[1:])

    @property
    def nbytes(self) -> int:
        """Memory that all rows would take as an array."""
        return self.dtype.itemsize * int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: slice | np.ndarray) -> "np.ndarray | Rows":
        chosen = self.numbers[index]
        if isinstance(index, np.ndarray) and index.dtype == bool:
            return Rows(self.base, chosen, self.low, self.span)
        rows = np.asarray(self.base[chosen]).astype(np.float32, copy=False)
        return rows if self.low is None else scale_in_place(rows, self.low, self.span)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.float32, copy=False)


def scale_in_place(rows: np.ndarray, low: np.ndarray, span: np.ndarray) -> np.ndarray:
    """``(rows - low) / span``, in place."""
    rows -= low
    rows /= span
    return rows


def cut_rows(
    rows: np.ndarray, fraction: float, seed: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers at random: the rest and the ``fraction``, each in the order of the file.

    Raises
    ------
    UserError
        If one of the two would be empty.
    """
    order = np.random.default_rng(derive_seed(seed, name)).permutation(rows)
    n = round(fraction * len(rows))
    if not 0 < n < len(rows):
        raise UserError(
            f"empty split: {fraction:g} of {len(rows)} rows for {name} leaves {n} and "
            f"{len(rows) - n} rows; expected at least one in each part"
        )
    return np.sort(order[n:]), np.sort(order[:n])


def as_rows(x: np.ndarray | Rows) -> np.ndarray | Rows:
    """Numeric rows as a float32 array or, of more than `HELD_BYTES`, as a view."""
    if isinstance(x, Rows):
        return x
    large = Rows.dtype.itemsize * x.size > HELD_BYTES
    return Rows(x) if large else x.astype(np.float32, copy=False)


def hold_in_memory(rows: Rows) -> np.ndarray | Rows:
    """Copy rows into an array if that takes at most `HELD_BYTES`; else return the view."""
    return rows[:] if rows.nbytes <= HELD_BYTES else rows


def sample_rows(x: np.ndarray | Rows, seed: int) -> np.ndarray:
    """An array for methods that need one: of a view, random rows that fill `HELD_BYTES`."""
    if not isinstance(x, Rows):
        return x
    n = max(1, HELD_BYTES * len(x) // x.nbytes)
    return x[np.sort(np.random.default_rng(derive_seed(seed, "sample")).choice(len(x), n, False))]


def iterate_blocks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """Yield consecutive rows as arrays: an array whole, a view in blocks of `BLOCK_BYTES`.

    The size of all blocks but the last is a power of two, a multiple of what is scored at a time.
    """
    if not isinstance(x, Rows):
        yield x
        return
    step = 1 << max(0, (BLOCK_BYTES // max(1, x[:1].nbytes)).bit_length() - 1)
    for start in range(0, len(x), step):
        yield x[start : start + step]


def feature_ranges(x: np.ndarray | Rows) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every feature."""
    ends = [(block.min(axis=0), block.max(axis=0)) for block in iterate_blocks(x)]
    low, high = zip(*ends, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def feature_means(x: np.ndarray | Rows) -> np.ndarray:
    """Mean of every feature, float32."""
    total = sum(block.sum(axis=0, dtype=np.float64) for block in iterate_blocks(x))
    return (total / len(x)).astype(np.float32)


def collect_blocks(
    parts: Iterable[np.ndarray], shape: tuple[int, ...], folders: Iterable[Path] = ()
) -> np.ndarray:
    """Join float32 blocks of rows.

    Parameters
    ----------
    parts : iterable of (m, ...) float32
    shape : tuple of int
        Of the whole.
    folders : iterable of Path
        Where to keep an array of more than `HELD_BYTES`: the first with room for it, else the
        folder of temporary files, else memory.

    Returns
    -------
    array of ``shape``
        Read-only and memory-mapped if large. Its file has no name and vanishes with the process.
    """
    size = 4 * int(np.prod(shape))
    file = _scratch(size, folders) if size > HELD_BYTES else None
    if file is None:
        whole, start = np.empty(shape, np.float32), 0
        for part in parts:
            whole[start : start + len(part)] = part
            start += len(part)
        return whole
    with file:
        for part in parts:
            file.write(np.ascontiguousarray(part))
        file.flush()
        return np.memmap(file, np.float32, "r", shape=shape)


def _scratch(size: int, folders: Iterable[Path]) -> BinaryIO | None:
    """Open a nameless file with room for ``size`` bytes; None if no folder has it."""
    for folder in [*folders, tempfile.gettempdir()]:
        try:
            if shutil.disk_usage(folder).free > size:
                return tempfile.TemporaryFile(dir=folder)
        except OSError:  # read-only, or not there
            continue
    return None
