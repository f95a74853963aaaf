"""A separate seed for every random step, so that adding a step changes no other."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def derive_seed(seed: int, *step: str | int) -> int:
    """Seed of a named step.

    Parameters
    ----------
    seed : int
        Seed of the run.
    step : str or int
        Name of the step, in one or more parts.

    Returns
    -------
    int
        In [0, 2**31), equal on every machine and in every process.
    """
    words = "/".join([str(int(seed)), *map(str, step)])
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big") >> 1


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, for libraries that draw from it; restored afterwards."""
    state = np.random.get_state()  # noqa: NPY002  (the user's own)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
