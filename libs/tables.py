"""Tables for people: in the terminal, in markdown and in LaTeX."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table


def show_results(title: str, tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Print one experiment: a row per run, AUC and AP per view, and what the training took.

    Parameters
    ----------
    title : str
    tables : mapping of view to metric table
        See `libs.results.metric_table`.
    folder : Path
        Where the files lie.
    """
    console = Console()
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("run", no_wrap=True)
    for view, metrics in tables.items():
        table.add_column(f"{view}\nAUC", justify="right")
        prevalence = decimals(metrics["prevalence"].iloc[0], 2)
        table.add_column(f"AP\n({prevalence})", justify="right")
    for column in ("rows", "epochs", "updates", "seconds"):
        table.add_column(column, justify="right")
    best = {(v, m): decimals(t[m].max()) for v, t in tables.items() for m in ("AUC", "AP")}
    for run, row in next(iter(tables.values())).iterrows():
        if row["status"] == "error":
            table.add_row(str(run), *[""] * (len(table.columns) - 2), "[red]failed[/]")
            continue
        cells = [decimals(tables[view].loc[run, metric]) for view, metric in best]
        cells = [f"[bold]{c}[/]" if c == b else c for c, b in zip(cells, best.values())]
        shared = f"/{row['jointly']}" if row["jointly"] > 1 else ""
        trained = [f"{row[c]:,}" for c in ("rows", "epochs", "updates")]
        table.add_row(str(run), *cells, *trained, f"{row['seconds']:.1f}{shared}")
    console.print(table)
    console.print(
        "[dim]AP's brackets: a constant score's AP (prevalence). "
        "seconds/4: one training served 4 budgets.[/]"
    )
    pictures = ", ".join(f"{view}.roc.png" for view in tables)
    console.print(f"ROC pictures {pictures} in {folder}\n", markup=False, soft_wrap=True)


def decimals(value: float, places: int = 3) -> str:
    """A share as papers print it: ``.987``, ``1.000``."""
    return f"{value:.{places}f}".removeprefix("0")
