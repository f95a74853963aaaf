"""Which classes are normal and which anomalous, in training and in the views of a test."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import numpy as np

from libs.utils.errors import UserError

NATURAL = 1.0
"""Contamination without a number: all unlabelled anomalies stay among the normal rows."""
LONGEST = 40
"""Characters of a folder's name before its hash; file systems take 255 bytes."""


@dataclass(frozen=True)
class Experiment:
    """Classes that are normal, known anomalies in training, or unknown until the test.

    Without anomalies there are scores but no metrics.

    Raises
    ------
    UserError
        If a class is in two lists, or no class is normal.
    """

    normal: tuple[str, ...]
    known: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __post_init__(self):
        listed = [*self.normal, *self.known, *self.unknown]
        twice = sorted({c for c in listed if listed.count(c) > 1})
        if twice:
            raise UserError(
                f"overlapping class lists: {', '.join(twice)} is named more than once among "
                + "; ".join(f"{role} {', '.join(names)}" for role, names in vars(self).items())
            )
        if not self.normal:
            raise UserError("an experiment needs a normal class")

    @classmethod
    def of(cls, description: Mapping[str, Sequence[str]]) -> Self:
        """The experiment that a manifest or a result folder describes."""
        return cls(**{role: tuple(classes) for role, classes in description.items()})

    @property
    def name(self) -> str:
        """All classes, escaped: ``normal_known_DoS+Probe_unknown_R2L+U2R``; seeds depend on it."""
        parts = ["+".join(quote(c, safe=" ") for c in self.normal)]
        for word, classes in (("known", self.known), ("unknown", self.unknown)):
            if classes:
                parts += [word, "+".join(quote(c, safe=" ") for c in classes)]
        return "_".join(parts)

    @property
    def slug(self) -> str:
        """A short folder name: `name`, with a hash if anything had to be cut or escaped."""
        classes = (*self.normal, *self.known, *self.unknown)
        plain = re.sub(r"[^\w.+-]", "-", self.name)[:LONGEST].lstrip(".")
        if plain == self.name and not any(re.search("_(un)?known_", f"_{c}_") for c in classes):
            return plain
        roles = json.dumps([self.normal, self.known, self.unknown])  # the name may be ambiguous
        return f"{plain}-{hashlib.sha256(roles.encode()).hexdigest()[:8]}"

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """Test views and their anomalous classes; every view includes the normal classes."""
        views = {
            "known": self.known,
            "transfer": self.known + self.unknown,
            "unknown": self.unknown,
        }
        if not self.known or not self.unknown:
            del views["transfer"]
        return {view: classes for view, classes in views.items() if classes}


def view_labels(
    experiment: Experiment, view: str, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a view and their labels.

    Returns
    -------
    mask : (n,) bool
        Rows that belong to the view.
    y : (mask.sum(),) int
        1 for an anomaly.
    """
    anomalous = np.isin(classes, experiment.views[view])
    mask = anomalous | np.isin(classes, experiment.normal)
    return mask, anomalous[mask].astype(int)
