"""What a command line decides of a run: places and lengths, and which part of a study is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
        Of the networks, instead of the methods' own.
    published : dict
        The protocol's own ``epochs`` and ``learning_rate``, if its paper has such options: they
        reach settings with this value alone, and the value itself changes nothing.
    patience : int, optional
        Of the methods that have such a setting; see `libs.training.early_stopping`.
    precision : {"float32", "bfloat16"}
        Of the products in training, for the methods that have such a setting.
    any_precision : bool
        Whether finished runs of another precision count as the same: the hardware chose it.
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
    published: Mapping[str, float] = field(default_factory=dict)
    patience: int | None = None
    precision: str = "float32"
    any_precision: bool = False
    override: bool = False
    keep_reference: bool = True

    @property
    def suffix(self) -> str:
        """What is appended to a protocol's name, so that other lengths stay apart: ``-e5``."""
        words = {"epochs": "e", "learning_rate": "lr", "patience": "patience"}
        replaced = self.replaced
        return "".join(f"-{w}{replaced[name]:g}" for name, w in words.items() if name in replaced)

    @property
    def replaced(self) -> dict[str, Any]:
        """Settings of detectors that take these values, whatever the method's own."""
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
