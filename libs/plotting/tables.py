"""Tables in the terminal, made to fit 80 columns."""

import pandas as pd
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table


def show(frame: pd.DataFrame, title: str) -> None:
    """Print a table of `libs.experiments.result_tables.pivot`: AUC above AP, rows above epochs.

    Parameters
    ----------
    frame : DataFrame
        Cells are ready text; rich's markup in them is obeyed.
    title : str
    """
    views = [c.removesuffix(" AUC") for c in frame.columns if c.endswith(" AUC")]
    heads = ["n", *(f"{view}\nAUC\nAP" for view in views), "rows\nepochs", "updates\nseconds"]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for _, row in frame.iterrows():
        scores = [f"{row[f'{view} AUC']}\n{row[f'{view} AP']}" for view in views]
        trained = [f"{row['rows']}\n{row['epochs']}", f"{row['updates']}\n{row['seconds']}"]
        table.add_row(row["run"], str(row["seeds"]), *scores, *trained)
    Console().print(table)


def show_plain(frame: pd.DataFrame, title: str, *, wide: bool = False) -> None:
    """Print a table of ready text, a column each; as wide as it takes, or as the terminal is."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(frame.columns):
        table.add_column(str(name), justify="right" if i else "left", no_wrap=True)
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    console = Console()
    if wide:
        needed = Measurement.get(console, console.options.update(max_width=10_000), table)
        console = Console(width=max(console.width, needed.maximum))
    console.print(table)


def decimals(value: float, places: int = 3) -> str:
    """A share as papers print it: ``.987``, ``1.000``."""
    return f"{value:.{places}f}".removeprefix("0")
