"""scikit-learn's models on disk, by skops: nothing in the file runs code on load."""

from collections.abc import Collection
from pathlib import Path

import skops.io
from sklearn.base import BaseEstimator

from libs.utils.errors import UserError


def save(model: BaseEstimator, path: Path) -> None:
    """Write a fitted model."""
    skops.io.dump(model, path)


def load(path: Path, needed: Collection[str] = ()) -> BaseEstimator:
    """Read what `save` wrote.

    Parameters
    ----------
    path : Path
    needed : collection of str
        Types that such a model is made of beyond those that skops trusts by itself.

    Raises
    ------
    UserError
        If there are other types in the file.
    """
    foreign = set(skops.io.get_untrusted_types(file=path)) - set(needed)
    if foreign:
        raise UserError(f"{path} holds types that it does not need: {foreign}; do not load it")
    return skops.io.load(path, trusted=sorted(needed))
