"""What a do_ script asks for under one protocol: data, rules of the split, cells, methods."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from libs import datasets
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets.dataset import DataSet
from libs.datasets.own import OwnTable
from libs.Detector import Detector


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


@dataclass(frozen=True)
class Study:
    """A paper's experiments on one data set.

    Attributes
    ----------
    data_set : str or OwnTable
        A name, see `libs.datasets.load`, or a table of one's own.
    rules : SplitRules
    cells : sequence of Cell
        In the order in which they run. The first cell of each experiment is the protocol's choice
        of what the command line leaves open.
    methods : callable
        Gives the methods by name, unfitted, for a DataHandler: a sample may train longer.
    normal_by : str, optional
        See `libs.datasets.load`.
    variant : str
        Joined to the protocol's name, so that results under other rules stay apart.
    spare : tuple of str
        Methods that train only if the command line names them.
    operating : dict, optional
        See `libs.ExperimentWrapper.ExperimentWrapper`.
    """

    data_set: str | OwnTable
    rules: SplitRules
    cells: Sequence[Cell]
    methods: Callable[[DataHandler], Mapping[str, Detector]]
    normal_by: str | None = None
    variant: str = ""
    spare: tuple[str, ...] = ()
    operating: dict | None = None

    def load(self, data_path: str | Path | None, seed: int) -> DataSet:
        """The data, for the seed of a run."""
        if isinstance(self.data_set, OwnTable):
            return self.data_set.load(self.rules.test, self.rules.seed_of_test(seed))
        return datasets.load(self.data_set, data_path, self.normal_by)


def chosen_cells(
    cells: Sequence[Cell],
    own: Experiment | None = None,
    budgets: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    all_budgets: bool = True,
    all_shares: bool = True,
) -> list[Cell]:
    """The cells that a command line asks for; all, if it asks for nothing.

    What it names replaces that of the first cell of each experiment, and that cell alone remains.

    Parameters
    ----------
    cells : sequence of Cell
        The protocol's.
    own : Experiment, optional
        Takes the place of the protocol's experiments.
    budgets : sequence of int, optional
        Label budgets.
    shares : sequence of float, optional
        Pollutions, a cell for each.
    all_budgets : bool
        False: only the largest of each cell's budgets.
    all_shares : bool
        False: only the first cell of each experiment.
    """
    if own is not None:
        cells = [replace(cells[0], experiment=own)]
    chosen = list(cells)
    if not all_shares or budgets is not None or shares is not None:
        first: dict[Experiment, Cell] = {}
        for cell in cells:
            first.setdefault(cell.experiment, cell)
        chosen = list(first.values())
    wanted = []
    for cell in chosen:
        known = tuple(budgets or cell.budgets)
        for share in shares or (cell.p_contamination,):
            same = replace(cell, p_contamination=share, schedule=_schedule(cells, cell, share))
            wanted.append(replace(same, budgets=known if all_budgets else (max(known),)))
    return wanted


def _schedule(cells: Sequence[Cell], cell: Cell, share: float) -> int:
    """The protocol's largest budget at this pollution, or, if it has no such cell, at any."""
    own = [c for c in cells if c.experiment == cell.experiment]
    same = [c for c in own if c.p_contamination == share] or own
    return max(budget for c in same for budget in c.budgets)
