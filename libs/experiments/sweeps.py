"""Cells of a sweep: do_ scripts in processes of their own, several at a time, by joblib.

Cells run on this machine (loky) or on the workers of a dask scheduler. Sweeps that share a folder
of logs share the work: see `libs.experiments.claims`.
"""

import json
import logging
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import joblib
from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rich.console import Console
from rich.table import Table

from libs.experiments import claims
from libs.utils import storage
from libs.utils.errors import UserError
from libs.utils.progress import progress

log = logging.getLogger("a3")
PAUSE = 2.0
"""Seconds until cells that another sweep works on are looked at again."""
PATIENCE = 10.0
"""Seconds in which a scheduler must answer."""
DEATHS = 3
"""So often workers may die before a sweep gives up."""


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
        It had ended in another sweep.
    busy : bool
        Another sweep works on it.
    """

    cell: Cell
    seconds: float
    reason: str = ""
    skipped: bool = False
    busy: bool = False


@dataclass(frozen=True)
class Crew:
    """Who runs the cells.

    Attributes
    ----------
    backend : {"loky", "dask"}
        Of joblib.
    slots : mapping of str to int
        How many cells run at a time on the machine of each worker, by its address; loky's workers
        have none.
    threads : int
        Of each cell; 0: the machine's cores are shared out among its slots.
    deaths : tuple of exception classes
        What joblib raises where workers die.
    """

    backend: str
    slots: Mapping[str, int]
    threads: int = 0
    deaths: tuple[type[Exception], ...] = (TerminatedWorkerError,)


@dataclass(frozen=True)
class Place:
    """What a cell finds on whichever machine it runs.

    Attributes
    ----------
    logs : Path
        Absolute folder of each cell's output and of a note on how it ended.
    folder : Path
        Where relative paths of the command line start.
    environment : mapping of str to str
        Beside the worker's own.
    """

    logs: Path
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)


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


@contextmanager
def crew(backend: str, jobs: int = 1, scheduler: str = "", threads: int = 0) -> Iterator[Crew]:
    """Workers on this machine, or those of a dask scheduler while a connection lasts.

    Parameters
    ----------
    backend : {"loky", "dask"}
    jobs : int
        Workers on this machine.
    scheduler : str
        Address of the scheduler, such as ``tcp://10.0.0.1:8786``.
    threads : int
        See `Crew`.

    Raises
    ------
    UserError
        If there is no scheduler, or it has no workers, or dask is not installed.
    """
    if backend == "loky":
        yield Crew("loky", {"": jobs}, threads)
        return
    if backend != "dask" or not scheduler:
        raise UserError(
            f"backend {backend!r}, scheduler {scheduler!r}: expected loky, or dask and an address "
            "such as tcp://10.0.0.1:8786"
        )
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise UserError("--backend dask needs dask: pip install -e '.[cluster]'") from error
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--scheduler {scheduler!r}: no dask scheduler answers there ({error}). Start one with "
            "`dask scheduler`, and workers in this folder on each machine with "
            "`python -m dask worker ADDRESS --nthreads CELLS_AT_A_TIME`"
        ) from error
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise UserError(f"the scheduler {scheduler} has no workers: start some")
        hosts = Counter()
        for worker in workers.values():
            hosts[worker["host"]] += worker["nthreads"]
        slots = {address: hosts[worker["host"]] for address, worker in workers.items()}
        yield Crew("dask", slots, threads, (KilledWorker,))


def run_all(cells: Sequence[Cell], crew: Crew, place: Place) -> list[Outcome]:
    """Run the cells that have not ended well before; in the order of their ends.

    What another sweep works on is waited for; where its owner dies, it is run here.

    Raises
    ------
    UserError
        If workers die again and again.
    """
    storage.check_writable(place.logs)
    for cell in cells:
        if (_ended(cell, place.logs) or {}).get("reason"):  # a new start is a new try
            _note(cell, place.logs).unlink(missing_ok=True)
    outcomes: dict[str, Outcome] = {}
    died = 0
    with progress("cells", len(cells)) as advance:
        while waiting := [cell for cell in cells if cell.name not in outcomes]:
            workers = sum(crew.slots.values()) if crew.backend == "loky" else -1
            try:
                with joblib.parallel_config(backend=crew.backend):
                    parallel = Parallel(workers, batch_size=1, return_as="generator_unordered")
                    for outcome in parallel(delayed(run_cell)(c, crew, place) for c in waiting):
                        if died and outcome.skipped and outcome.reason:
                            # perhaps joblib, which kills the other workers, killed its process
                            _note(outcome.cell, place.logs).unlink(missing_ok=True)
                        elif not outcome.busy:
                            outcomes[outcome.cell.name] = outcome
                            ended = "failed" if outcome.reason else "ok"
                            advance(1, f"{outcome.cell.name} {ended}")
            except crew.deaths as error:
                died += 1
                if died == DEATHS:
                    raise UserError(
                        f"workers died {DEATHS} times ({error}); too little memory? Finished cells "
                        "are kept: start again with fewer --jobs"
                    ) from error
                log.warning("a worker died; its cells are run again")
            if len(outcomes) < len(cells):
                time.sleep(PAUSE)
    return list(outcomes.values())


def run_cell(cell: Cell, crew: Crew, place: Place) -> Outcome:
    """Run one cell, unless it has ended or another one runs it; its output goes to a log file."""
    with claims.claimed(place.logs, cell.name) as free:
        if ended := _ended(cell, place.logs):
            outcome = Outcome(cell, ended["seconds"], ended["reason"], skipped=True)
        elif free:
            with claims.seat() as seat:
                outcome = _run(cell, place, _environment(crew, seat))
            note = {"command": shlex.join(cell.command), "seconds": outcome.seconds}
            storage.write_json(_note(cell, place.logs), note | {"reason": outcome.reason})
        else:
            return Outcome(cell, 0, busy=True)
    claims.forget(place.logs, cell.name)
    return outcome


def _note(cell: Cell, logs: Path) -> Path:
    return logs / f"{cell.name}.json"


def _ended(cell: Cell, logs: Path) -> dict | None:
    """The note on how this very command ended, if it did."""
    try:
        note = {"reason": ""} | json.loads(_note(cell, logs).read_text())
    except FileNotFoundError:
        return None
    return note if note["command"] == shlex.join(cell.command) else None


def _run(cell: Cell, place: Place, environment: Mapping[str, str]) -> Outcome:
    """Start a cell's process and wait for its end."""
    start = time.perf_counter()
    path = place.logs / f"{cell.name}.log"
    surroundings = os.environ | environment | place.environment
    with open(path, "w") as file:
        code = subprocess.run(
            [sys.executable, *cell.command],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=surroundings,
            cwd=place.folder,
        ).returncode
    seconds = round(time.perf_counter() - start, 1)
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    reason = f"exit code {code}: {lines[-1] if lines else 'no output'}" if code else ""
    return Outcome(cell, seconds, reason)


def _environment(crew: Crew, seat: int) -> dict[str, str]:
    """A cell's share of its machine: threads, and one of its GPUs."""
    distributed = sys.modules.get("distributed") if crew.backend == "dask" else None
    address = distributed.get_worker().address if distributed else ""
    threads = crew.threads or max(1, joblib.cpu_count() // crew.slots.get(address, 1))
    limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    environment = dict.fromkeys(limits, str(threads))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        visible = ",".join(sorted(p.name[6:] for p in Path("/dev").glob("nvidia[0-9]*")))
    if visible:
        gpus = visible.split(",")
        environment["CUDA_VISIBLE_DEVICES"] = gpus[seat % len(gpus)]
    return environment


def show(outcomes: Sequence[Outcome]) -> None:
    """Print a table of all cells, the failed ones last."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("cell", "ended", "seconds", "reason"):
        table.add_column(head, justify="right" if head == "seconds" else "left")
    for outcome in sorted(outcomes, key=lambda o: (bool(o.reason), o.cell.name)):
        ended = "failed" if outcome.reason else "was there" if outcome.skipped else "ok"
        table.add_row(outcome.cell.name, ended, f"{outcome.seconds:.0f}", outcome.reason)
    Console().print(table)
