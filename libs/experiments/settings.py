"""What a command line decides of a run: places and lengths, and which part of a study is wanted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from libs.datasets.splits.experiment import Experiment


@dataclass(frozen=True)
class RunSettings:
    """Where runs are kept, and which of the methods' settings are replaced.

    Attributes
    ----------
    model_path, result_path : path
    n_epochs, learning_rate : int and float, optional
        Of every network, instead of the methods' own.
    patience : int, optional
        Of the methods that have such a setting; see `libs.training.early_stopping`.
    precision : {"float32", "bfloat16"}
        Of the products in training, for the methods that have such a setting.
    override : bool
        Train again what is there.
    keep_reference : bool
        Keep reference rows with the models whose explanations start from them; see
        `libs.detectors.explainable.Explainable.keep_reference`.
    """

    model_path: str | Path = "models"
    result_path: str | Path = "results"
    n_epochs: int | None = None
    learning_rate: float | None = None
    patience: int | None = None
    precision: str = "float32"
    override: bool = False
    keep_reference: bool = True

    @property
    def suffix(self) -> str:
        """What is appended to a protocol's name, so that other lengths stay apart: ``-e5``."""
        return "".join(
            f"-{word}{value:g}"
            for word, value in (
                ("e", self.n_epochs),
                ("lr", self.learning_rate),
                ("patience", self.patience),
            )
            if value is not None
        )

    @property
    def replaced(self) -> dict[str, Any]:
        """Settings of detectors that take these values, whatever the method's own."""
        values = {
            "epochs": self.n_epochs,
            "learning_rate": self.learning_rate,
            "patience": self.patience,
            "precision": self.precision,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Selection:
    """Which cells and methods of a study are wanted; empty: all of the protocol's.

    Attributes
    ----------
    methods : sequence of str, optional
    experiment : Experiment, optional
        Takes the place of the protocol's experiments.
    budgets : sequence of int, optional
        Label budgets.
    contaminations : sequence of float, optional
        Pollutions, a cell for each.
    all_budgets : bool
        False: only the largest of each cell's budgets.
    all_contaminations : bool
        False: only the first cell of each experiment.
    """

    methods: Sequence[str] | None = None
    experiment: Experiment | None = None
    budgets: Sequence[int] | None = None
    contaminations: Sequence[float] | None = None
    all_budgets: bool = True
    all_contaminations: bool = True


@dataclass(frozen=True)
class Conditions:
    """What the numbers of an experiment are measured on.

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
        """Undo `describe`; what else stands in a manifest is left out."""
        return cls(
            description["data"],
            description["protocol"],
            Experiment.of(description["experiment"]),
            description["p_contamination"],
        )
