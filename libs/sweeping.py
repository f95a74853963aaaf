"""Cells of a sweep: do_ scripts in processes of their own, several at a time by joblib's loky."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from libs import storage
from libs.errors import UserError
from libs.progress import progress


@dataclass(frozen=True)
class Cell:
    """One script with one seed.

    Attributes
    ----------
    name : str
    command : tuple of str
        Words of the command line, without the interpreter.
    """

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    cell : Cell
    seconds : float
    reason : str
        Why it failed; empty if it ended well.
    skipped : bool
        It had ended well in an earlier sweep.
    """

    cell: Cell
    seconds: float
    reason: str = ""
    skipped: bool = False


def cells(
    root: Path,
    data_sets: Sequence[str],
    seeds: Sequence[int],
    part: str,
    budgets: Sequence[int],
    options: Sequence[str],
    protocol: str = "",
) -> list[Cell]:
    """All cells of data sets x seeds; ``protocol`` is every script's, "" each one's own default.

    Raises
    ------
    UserError
        If a data set has no script in ``root``.
    """
    scripts = sorted(p.stem.removeprefix("do_") for p in root.glob("do_*.py"))
    strange = [name for name in data_sets if name not in scripts]
    if strange:
        raise UserError(f"no script do_{strange[0]}.py; expected some of {', '.join(scripts)}")
    rest = ["--protocol", protocol] if protocol else []
    rest += ["--n_train_anomalies", *map(str, budgets)] if budgets else []
    middle = f"-{protocol}" if protocol else ""
    return [
        Cell(
            f"{name}{middle}-{seed}-{part}",
            (str(root / f"do_{name}.py"), str(seed), part, *rest, *options),
        )
        for name in data_sets
        for seed in seeds
    ]


def run_all(cells: Sequence[Cell], jobs: int, logs: Path) -> list[Outcome]:
    """Run cells that have not ended well before, ``jobs`` at a time; in the order of their ends.

    Parameters
    ----------
    cells : sequence of Cell
    jobs : int
        The cores are shared out among them.
    logs : Path
        Folder of each cell's output and of a note that it ended well.
    """
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    outcomes = []
    with progress("cells", len(cells)) as advance:
        results = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")(
            delayed(run_cell)(cell, logs, threads) for cell in cells
        )
        for outcome in results:
            outcomes.append(outcome)
            advance(1, f"{outcome.cell.name} {'failed' if outcome.reason else 'ok'}")
    return outcomes


def run_cell(cell: Cell, logs: Path, threads: int) -> Outcome:
    """Run one cell; its output goes to ``<logs>/<cell>.log``."""
    note = logs / f"{cell.name}.json"
    command = shlex.join(cell.command)
    if note.is_file():
        ended = json.loads(note.read_text())
        if ended["command"] == command:
            return Outcome(cell, ended["seconds"], skipped=True)
    limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = os.environ | dict.fromkeys(limits, str(threads))
    start = time.perf_counter()
    log = logs / f"{cell.name}.log"
    with open(log, "w") as file:
        code = subprocess.run(
            [sys.executable, *cell.command], stdout=file, stderr=subprocess.STDOUT, env=environment
        ).returncode
    seconds = time.perf_counter() - start
    if code:
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        return Outcome(cell, seconds, f"exit code {code}: {lines[-1] if lines else 'no output'}")
    storage.write_json(note, {"command": command, "seconds": round(seconds, 1)})
    return Outcome(cell, seconds)


def show(outcomes: Sequence[Outcome]) -> None:
    """Print a table of all cells, the failed ones last."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("cell", "ended", "seconds", "reason"):
        table.add_column(head, justify="right" if head == "seconds" else "left")
    for outcome in sorted(outcomes, key=lambda o: (bool(o.reason), o.cell.name)):
        ended = "failed" if outcome.reason else "was there" if outcome.skipped else "ok"
        table.add_row(outcome.cell.name, ended, f"{outcome.seconds:.0f}", outcome.reason)
    Console().print(table)
