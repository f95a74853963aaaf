"""The simple rivals that stand in every protocol's tables, whatever its paper compares with."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libs.detectors.detector import Detector


def simple_rivals(labels: bool = True) -> "dict[str, Detector]":
    """scikit-learn's neighbours and, where there are labels, its strongest classifiers of tables.

    Parameters
    ----------
    labels : bool
        False: only those that need none.
    """
    from baselines import KNN, ExtraTrees, HistGradientBoosting

    classifiers = {"ExtraTrees": ExtraTrees(), "HistGradientBoosting": HistGradientBoosting()}
    return {"KNN": KNN()} | (classifiers if labels else {})
