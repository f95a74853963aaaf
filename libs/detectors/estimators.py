"""scikit-learn's models on disk, by skops: nothing in the file runs code on load."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import skops.io
from sklearn.base import BaseEstimator
from sklearn.tree._tree import Tree
from skops.io.exceptions import UntrustedTypesFoundException

from libs.utils.errors import UserError

TREES = frozenset({"sklearn.tree._tree.Tree"})
"""What forests are made of beyond the types that skops trusts by itself: plain arrays of nodes."""


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
        If there are other types in the file, or trees whose nodes point outside of them.
    """
    try:
        model = skops.io.load(path, trusted=sorted(needed))  # looks before it builds anything
    except UntrustedTypesFoundException as error:
        found = str(error).splitlines()[0]
        raise UserError(
            f"{path} holds types that it does not need; do not load it. {found}"
        ) from error
    for part in getattr(model, "estimators_", ()):
        if not _is_sound(part.tree_, model.n_features_in_):
            raise UserError(f"{path} holds a tree whose nodes point outside of it; do not load it")
    return model


def _is_sound(tree: Tree, features: int) -> bool:
    """Whether each node of a tree is a leaf or has two later nodes as children.

    scikit-learn follows them without looking: others would end the process, or never end.
    """
    numbers, inner = np.arange(tree.node_count), tree.children_left != -1
    ends = np.stack([tree.children_left, tree.children_right])
    later = ((ends > numbers) & (ends < tree.node_count)).all(axis=0)
    split = (tree.feature >= 0) & (tree.feature < features) & later
    return tree.node_count > 0 and bool(np.where(inner, split, ends[1] == -1).all())
