"""Rows that need not fit into memory: views of a file, looked at a block at a time."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from libs.utils.errors import UserError
from libs.utils.seeds import derive_seed

BLOCK_BYTES = 64 * 2**20
"""Rows of one block take at most this much memory."""
HELD_BYTES = 256 * 2**20
"""Rows that take more than this are not copied into memory, but looked at where they lie."""


class Rows:
    """Chosen rows of an array, scaled when they are looked at: ``(base[numbers] - low) / span``.

    ``rows[i:j]`` and ``rows[numbers]`` gather float32 arrays; ``rows[mask]`` is a view again, so
    that choosing rows costs no memory.

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

    def scaled(self, low: np.ndarray, span: np.ndarray) -> "Rows":
        """The same rows of the same base, scaled."""
        return Rows(self.base, self.numbers, low, span)

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, ...), as of an array."""
        return (len(self.numbers), *self.base.shape[1:])

    @property
    def nbytes(self) -> int:
        """Memory that all rows would take."""
        return self.dtype.itemsize * int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: slice | np.ndarray) -> "np.ndarray | Rows":
        chosen = self.numbers[index]
        if isinstance(index, np.ndarray) and index.dtype == bool:
            return Rows(self.base, chosen, self.low, self.span)
        rows = np.asarray(self.base[chosen]).astype(np.float32, copy=False)
        return rows if self.low is None else scaled(rows, self.low, self.span)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.float32, copy=False)


def scaled(rows: np.ndarray, low: np.ndarray, span: np.ndarray) -> np.ndarray:
    """``(rows - low) / span``, in place."""
    rows -= low
    rows /= span
    return rows


def cut(rows: np.ndarray, share: float, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Cut a random share off the numbers of rows; both parts in the order of the file.

    Raises
    ------
    UserError
        If one of the parts would be empty.
    """
    order = np.random.default_rng(derive_seed(seed, name)).permutation(rows)
    n = round(share * len(rows))
    if not 0 < n < len(rows):
        raise UserError(
            f"empty split: {share:g} of {len(rows)} rows for {name} leaves {n} and "
            f"{len(rows) - n} rows; expected at least one in each part"
        )
    return np.sort(order[n:]), np.sort(order[:n])


def as_rows(x: np.ndarray | Rows) -> np.ndarray | Rows:
    """Numeric rows as a float32 array or, of more than `HELD_BYTES`, as a view."""
    if isinstance(x, Rows):
        return x
    large = Rows.dtype.itemsize * x.size > HELD_BYTES
    return Rows(x) if large else x.astype(np.float32, copy=False)


def held(rows: Rows) -> np.ndarray | Rows:
    """The rows as an array if that takes at most `HELD_BYTES`, else as they are."""
    return rows[:] if rows.nbytes <= HELD_BYTES else rows


def sampled(x: np.ndarray | Rows, seed: int) -> np.ndarray:
    """An array for methods that need one: of a view random rows that fill `HELD_BYTES`."""
    if not isinstance(x, Rows):
        return x
    n = max(1, HELD_BYTES * len(x) // x.nbytes)
    return x[np.sort(np.random.default_rng(derive_seed(seed, "sample")).choice(len(x), n, False))]


def blocks(x: np.ndarray | Rows) -> Iterator[np.ndarray]:
    """Consecutive rows as arrays: an array as a whole, a view in blocks of `BLOCK_BYTES`.

    All blocks but the last have a power of two of rows, a multiple of what is scored at a time.
    """
    if not isinstance(x, Rows):
        yield x
        return
    step = 1 << max(0, (BLOCK_BYTES // max(1, x[:1].nbytes)).bit_length() - 1)
    for start in range(0, len(x), step):
        yield x[start : start + step]


def extent(x: np.ndarray | Rows) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest value of every feature."""
    ends = [(block.min(axis=0), block.max(axis=0)) for block in blocks(x)]
    low, high = zip(*ends, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def mean_of(x: np.ndarray | Rows) -> np.ndarray:
    """Mean of every feature, float32."""
    total = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(x))
    return (total / len(x)).astype(np.float32)


def collected(
    parts: Iterable[np.ndarray], shape: tuple[int, ...], folders: Iterable[Path] = ()
) -> np.ndarray:
    """Join float32 blocks of rows.

    Parameters
    ----------
    parts : iterable of (m, ...) float32
    shape : tuple of int
        Of the whole.
    folders : iterable of Path
        Where a whole of more than `HELD_BYTES` may lie: in the first that takes it, else among
        temporary files, else in memory.

    Returns
    -------
    array of ``shape``
        Read-only and memory-mapped if it is large. Its file has no name and ends with the process.
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
    """A file without a name that has room for ``size`` bytes; None where no folder has it."""
    for folder in [*folders, tempfile.gettempdir()]:
        try:
            if shutil.disk_usage(folder).free > size:
                return tempfile.TemporaryFile(dir=folder)
        except OSError:  # read-only, or not there
            continue
    return None
