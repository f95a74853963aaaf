"""Settings of a run from the command line: folders, replaced settings, and the selection."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from libs.datasets.splits.experiment import Experiment


@dataclass(frozen=True)
class RunSettings:
    """Folders of models and results, and the settings that replace those of the methods.

    Attributes
    ----------
    model_path, result_path : path
    n_epochs, learning_rate : int and float, optional
        Replace those of the networks.
    published : dict
        The protocol's own ``epochs`` and ``learning_rate``, if its paper has such options: only
        settings with these values are replaced.
    patience : int, optional
        For the methods with such a setting; see `libs.training.early_stopping`.
    precision : {"float32", "bfloat16"}
        Of the products in training, for the methods with such a setting.
    any_precision : bool
        Accept finished runs of another precision, because the hardware chose it.
    override : bool
        Train existing runs again.
    override_since : float
        Time in nanoseconds; runs that were written later are of the same ``override``, which was
        interrupted, and are kept.
    keep_reference : bool
        Keep reference rows with the models whose explanations start from them; see
        `libs.detectors.explainable.Explainable.keep_reference`.
    """

    model_path: str | Path = "models"
    result_path: str | Path = "results"
    n_epochs: int | None = None
    learning_rate: float | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    patience: int | None = None
    precision: str = "float32"
    any_precision: bool = False
    override: bool = False
    override_since: float = math.inf
    keep_reference: bool = True

    @property
    def suffix(self) -> str:
        """Suffix of the protocol's name that keeps results of replaced settings apart: ``-e5``."""
        words = {"epochs": "e", "learning_rate": "lr", "patience": "patience"}
        replaced = self.replaced
        return "".join(f"-{w}{replaced[name]:g}" for name, w in words.items() if name in replaced)

    @property
    def replaced(self) -> dict[str, Any]:
        """Values that replace those of the detectors, by setting."""
        values = {
            "epochs": self.n_epochs,
            "learning_rate": self.learning_rate,
            "patience": self.patience,
            "precision": self.precision,
        }
        own = self.published.items()
        return {n: v for n, v in values.items() if v is not None and (n, v) not in own}


@dataclass(frozen=True)
class Selection:
    """Selected cells and methods of a study; empty: all of the protocol.

    Attributes
    ----------
    methods : sequence of str, optional
    experiment : Experiment, optional
        Replaces the protocol's experiments.
    budgets : sequence of int, optional
        Label budgets.
    contaminations : sequence of float, optional
        A cell for each.
    all_budgets : bool
        False: only the largest budget of each cell.
    all_contaminations : bool
        False: only the first cell of each experiment.
    scale_on : {"all", "normal"}, optional
        Replaces the protocol's; see `libs.DataHandler.SplitRules`.
    """

    methods: Sequence[str] | None = None
    experiment: Experiment | None = None
    budgets: Sequence[int] | None = None
    contaminations: Sequence[float] | None = None
    all_budgets: bool = True
    all_contaminations: bool = True
    scale_on: str | None = None


@dataclass(frozen=True)
class Conditions:
    """The conditions under which the results of an experiment were measured.

    Attributes
    ----------
    data : dict
        See `libs.DataHandler.DataHandler.describe`.
    protocol : str
        With its suffixes.
    experiment : Experiment
    p_contamination : float
    """

    data: dict[str, Any]
    protocol: str
    experiment: Experiment
    p_contamination: float = 0.0

    def describe(self) -> dict[str, Any]:
        """The attributes in JSON, for manifests and ``experiment.json``."""
        return {
            "data": self.data,
            "protocol": self.protocol,
            "experiment": asdict(self.experiment),
            "p_contamination": self.p_contamination,
        }

    @classmethod
    def of(cls, description: dict[str, Any]) -> Self:
        """Undo `describe`; other entries of a manifest are ignored."""
        return cls(
            description["data"],
            description["protocol"],
            Experiment.of(description["experiment"]),
            description["p_contamination"],
        )
