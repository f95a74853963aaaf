"""What a do_ script asks for under one protocol: data, rules of the split, cells, methods."""

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
    """One experiment under one pollution. Its label budgets are one training.

    Attributes
    ----------
    experiment : Experiment
    budgets : tuple of int
        Known anomalies in training.
    p_contamination : float
        Share of anomalies among the rows that count as normal in training.
    schedule : int
        See `libs.DataHandler.DataHandler.split`; `chosen_cells` sets it.
    """

    experiment: Experiment
    budgets: tuple[int, ...] = (0,)
    p_contamination: float = 0.0
    schedule: int = 0

    @property
    def folder(self) -> str:
        """Name of its folder: that of the experiment, and the pollution if there is one."""
        return self.experiment.slug + (
            f"-p{self.p_contamination:g}" if self.p_contamination else ""
        )


@dataclass(frozen=True)
class Study:
    """A paper's experiments on one data set.

    Attributes
    ----------
    data_set : str or OwnTable
        A name, see `libs.datasets.registry.load`, or a table of one's own.
    rules : SplitRules
    cells : sequence of Cell
        In the order in which they run. The first cell of each experiment is the protocol's choice
        of what the command line leaves open.
    methods : callable
        Gives the methods by name, unfitted, for a DataHandler: a sample may train longer.
    normal_by : str, optional
        See `libs.datasets.registry.load`.
    variant : str
        Joined to the protocol's name, so that results under other rules stay apart.
    optional_methods : tuple of str
        Methods that train only if the command line names them.
    threshold : ThresholdRule, optional
        Evaluate thresholds too, and show those of this rule.
    skips_methods : bool
        Leave out methods that need more known anomalies than there are, even where the command
        line names them: it names them for many data sets.
    """

    data_set: str | OwnTable
    rules: SplitRules
    cells: Sequence[Cell]
    methods: Callable[[DataHandler], Mapping[str, Detector]]
    normal_by: str | None = None
    variant: str = ""
    optional_methods: tuple[str, ...] = ()
    threshold: ThresholdRule | None = None
    skips_methods: bool = False

    def load(self, data_path: str | Path | None, seed: int) -> DataSet:
        """The data, for the seed of a run."""
        if isinstance(self.data_set, OwnTable):
            return self.data_set.load(self.rules.test, self.rules.seed_of_test(seed))
        return datasets.load(self.data_set, data_path, self.normal_by)


def chosen_cells(cells: Sequence[Cell], selection: Selection) -> list[Cell]:
    """The cells that a command line asks for; all, if it asks for nothing.

    What it names replaces that of the first cell of each experiment, and that cell alone remains.

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
    """The protocol's largest budget at this pollution, or, if it has no such cell, at any."""
    own = [c for c in cells if c.experiment == cell.experiment]
    same = [c for c in own if c.p_contamination == p_contamination] or own
    return max(budget for c in same for budget in c.budgets)
