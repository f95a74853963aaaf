"""What a do_ script asks for under one protocol: data, rules of the split, cells, methods."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.DataHandler import DataHandler, Experiment, SplitRules
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
        See `libs.DataHandler.DataHandler.split`; at least the largest budget counts.
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
    data_set : str
        See `libs.datasets.load`.
    rules : SplitRules
    cells : sequence of Cell
        In the order in which they run. The first cell of each experiment is the protocol's choice
        of what the command line leaves open.
    methods : callable
        Gives the methods by name, unfitted, for a DataHandler: a sample may train longer.
    normal_by : str, optional
        See `libs.datasets.load`.
    """

    data_set: str
    rules: SplitRules
    cells: Sequence[Cell]
    methods: Callable[[DataHandler], Mapping[str, Detector]]
    normal_by: str | None = None


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
    if not all_shares or budgets is not None or shares is not None:
        first: dict[Experiment, Cell] = {}
        for cell in cells:
            first.setdefault(cell.experiment, cell)
        cells = list(first.values())
    return [
        replace(
            cell,
            budgets=_budgets(cell, budgets, all_budgets),
            schedule=max(cell.schedule, *cell.budgets),
            p_contamination=share,
        )
        for cell in cells
        for share in (shares or (cell.p_contamination,))
    ]


def _budgets(cell: Cell, named: Sequence[int] | None, every: bool) -> tuple[int, ...]:
    wanted = tuple(named or cell.budgets)
    return wanted if every else (max(wanted),)
