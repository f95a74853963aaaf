"""A script's experiments under one protocol: data, rules of the split, cells, methods."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.datasets.dataset import DataSet
from libs.datasets.tabular.own import OwnTable
from libs.detectors.detector import Detector
from libs.experiments.settings import Selection
from libs.experiments.thresholds import ThresholdRule


@dataclass(frozen=True)
class Cell:
    """One experiment under one contamination. Its label budgets train together.

    Attributes
    ----------
    experiment : Experiment
    budgets : tuple of int
        Known anomalies in training.
    p_contamination : float
        Fraction of anomalies among the training rows that are labelled normal.
    schedule : int
        See `libs.DataHandler.DataHandler.split`; `select_cells` sets it.
    """

    experiment: Experiment
    budgets: tuple[int, ...] = (0,)
    p_contamination: float = 0.0
    schedule: int = 0

    @property
    def largest(self) -> int:
        """The largest label budget."""
        return max(self.budgets, default=0)

    @property
    def folder(self) -> str:
        """Folder name: that of the experiment, and the contamination if there is any."""
        return self.experiment.slug + (
            f"-p{self.p_contamination:g}" if self.p_contamination else ""
        )


@dataclass(frozen=True)
class Study:
    """A paper's experiments on one data set.

    Attributes
    ----------
    data_set : str, DataSet or OwnTable
        A name, see `libs.datasets.registry.load`, what that gave, or a table of one's own.
    rules : SplitRules
    cells : sequence of Cell
        In running order. The first cell of each experiment provides defaults for what the command
        line leaves open.
    methods : callable
        Returns the unfitted methods by name for a DataHandler, as samples may train longer.
    normal_by : str, optional
        See `libs.datasets.registry.load`.
    variant : str
        Suffix of the protocol's name that keeps results under other rules apart.
    optional_methods : tuple of str
        Methods trained only if named on the command line.
    threshold : ThresholdRule, optional
        Also evaluate thresholds, and show those of this rule.
    skips_methods : bool
        Skip methods that need more known anomalies than there are even if the command line names
        them, as it may name them for many data sets.
    """

    data_set: str | DataSet | OwnTable
    rules: SplitRules
    cells: Sequence[Cell]
    methods: Callable[[DataHandler], Mapping[str, Detector]]
    normal_by: str | None = None
    variant: str = ""
    optional_methods: tuple[str, ...] = ()
    threshold: ThresholdRule | None = None
    skips_methods: bool = False

    def load(self, data_path: str | Path | None, seed: int) -> DataSet:
        """Load the data for the seed of a run."""
        if isinstance(self.data_set, OwnTable):
            return self.data_set.load(self.rules.test, self.rules.seed_of_test(seed))
        if isinstance(self.data_set, DataSet):
            return self.data_set
        return datasets.load(self.data_set, data_path, self.normal_by)


def select_cells(cells: Sequence[Cell], selection: Selection) -> list[Cell]:
    """The cells that a command line selects; by default all.

    What it names replaces the value in the first cell of each experiment; only that cell remains.

    Parameters
    ----------
    cells : sequence of Cell
        The protocol's.
    selection : Selection
    """
    budgets, contaminations = selection.budgets, selection.contaminations
    if selection.experiment is not None:
        cells = [replace(cells[0], experiment=selection.experiment)]
    chosen = list(cells)
    if not selection.all_contaminations or budgets is not None or contaminations is not None:
        first: dict[Experiment, Cell] = {}
        for cell in cells:
            first.setdefault(cell.experiment, cell)
        chosen = list(first.values())
    wanted = []
    for cell in chosen:
        known = tuple(budgets or cell.budgets)
        known = known if selection.all_budgets else (max(known),)
        for p in contaminations or (cell.p_contamination,):
            schedule = _schedule(cells, cell, p)
            wanted.append(replace(cell, budgets=known, p_contamination=p, schedule=schedule))
    return wanted


def _schedule(cells: Sequence[Cell], cell: Cell, p_contamination: float) -> int:
    """The protocol's largest budget at this contamination or, without such a cell, at any."""
    own = [c for c in cells if c.experiment == cell.experiment]
    same = [c for c in own if c.p_contamination == p_contamination] or own
    return max(c.largest for c in same)
