"""Sweeps: do_ scripts in separate processes, several at a time, run by joblib.

Cells run on this machine or on the workers of a dask scheduler. A cell belongs to the sweep that
holds its lock, which lies among the logs and ends with its process. So sweeps can share a folder,
and cells that a killed sweep had begun are run by another one.
"""

import ast
import itertools
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import joblib
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from rich.table import Table

from libs.utils import storage
from libs.utils.errors import UserError
from libs.utils.progress import console, progress

PAUSE = 2.0
"""Seconds between checks of cells that another sweep is running."""
PATIENCE = 10.0
"""Timeout of a scheduler, in seconds."""
_taken: set[int] = set()
_taking = threading.Lock()


@dataclass(frozen=True)
class Cell:
    """One script with one seed; ``command``: its command line without the interpreter."""

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
        Why it failed; empty if it succeeded.
    skipped : bool
        It had already been run by another sweep.
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
    """All cells of data sets x seeds.

    Parameters
    ----------
    root : Path
        Folder of the scripts.
    data_sets : sequence of str
        Empty: all with a script that offers the protocol.
    seeds, part, budgets
        Arguments of every script.
    options : sequence of str
        Further arguments; those before the first option are files, for scripts that take files.
    protocol : str
        Of every script; "": each script's own default.

    Raises
    ------
    UserError
        If a data set has no script, or its script refuses the protocol or the files.
    """
    scripts = {p.stem.removeprefix("do_"): read_script(p) for p in sorted(root.glob("do_*.py"))}
    files = list(itertools.takewhile(lambda word: not word.startswith("-"), options))
    fitting = [
        name
        for name, (protocols, takes_files) in scripts.items()
        if (protocol in protocols or not protocol) and takes_files == bool(files)
    ]
    if not fitting:
        offered = sorted({protocol for protocols, _ in scripts.values() for protocol in protocols})
        raise UserError(f"--protocol {protocol}: expected one of {', '.join(offered)}")
    if strange := [name for name in data_sets if name not in fitting]:
        raise UserError(
            f"no script do_{strange[0]}.py; expected some of {', '.join(fitting)}: those "
            f"{f'with protocol {protocol} ' if protocol else ''}that take "
            f"{'files' if files else 'no files'} as the first words after --"
        )
    rest = ["--protocol", protocol] if protocol else []
    rest += ["--n_train_anomalies", *map(str, budgets)] if budgets else []
    middle = [*(Path(file).stem for file in files[:1]), *([protocol] if protocol else [])]
    return [
        Cell(
            "-".join([name, *middle, str(seed), part]),
            (str(root / f"do_{name}.py"), *files, str(seed), part, *rest, *options[len(files) :]),
        )
        for name in data_sets or fitting
        for seed in seeds
    ]


def read_script(path: Path) -> tuple[list[str], bool]:
    """Keys of a script's ``PROTOCOLS``, and whether it takes files; nothing in it is run."""
    protocols, takes_files = [], False
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROTOCOLS":
            protocols = [key.value for key in node.value.keys]
        takes_files |= isinstance(node, ast.keyword) and ast.unparse(node) == "files=True"
    return protocols, takes_files


@dataclass(frozen=True)
class Sweep:
    """Runs cells.

    Attributes
    ----------
    logs : Path
        Absolute folder of each cell's log and of a note on how it ended.
    jobs : int
        Number of concurrent cells on this machine.
    threads : int
        Threads of each cell; 0: concurrent cells divide the cores of their machine.
    backend : {"threading", "dask"}
        Backend of joblib: threads that wait for the scripts here, or in dask's workers, one on
        each machine.
    scheduler : str
        Address of dask's, such as ``tcp://10.0.0.1:8786``.
    folder : Path
        Working directory of the command lines.
    environment : mapping of str to str
        Of each cell, in addition to that of its worker.
    """

    logs: Path
    jobs: int = 1
    threads: int = 0
    backend: str = "threading"
    scheduler: str = ""
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, cells: Sequence[Cell]) -> list[Outcome]:
        """Run the cells that have not succeeded before; return outcomes in order of completion.

        Cells that another sweep is running are waited for; if that sweep dies, they are run here.

        Raises
        ------
        UserError
            See `connected`.
        """
        storage.check_writable(self.logs)
        for cell in cells:
            if (self._ended(cell) or {}).get("reason"):  # a restart tries again
                self._note(cell).unlink(missing_ok=True)
        outcomes: dict[Cell, Outcome] = {}
        dask = self.backend == "dask"
        with (
            connected(self.scheduler) if dask else nullcontext(),
            joblib.parallel_config(backend=self.backend),
            progress("cells", len(cells)) as advance,
        ):
            parallel = Parallel(
                -1 if dask else self.jobs, batch_size=1, return_as="generator_unordered"
            )
            while waiting := [cell for cell in cells if cell not in outcomes]:
                for outcome in parallel(delayed(self.run_cell)(cell) for cell in waiting):
                    if outcome:
                        outcomes[outcome.cell] = outcome
                        advance(1, f"{outcome.cell.name} {'failed' if outcome.reason else 'ok'}")
                if len(outcomes) < len(cells):
                    time.sleep(PAUSE)
        return list(outcomes.values())

    def run_cell(self, cell: Cell) -> Outcome | None:
        """Run one cell unless it has ended; None if another sweep is running it."""
        try:
            with FileLock(self.logs / f".{cell.name}.lock", timeout=0):
                if ended := self._ended(cell):
                    return Outcome(cell, ended["seconds"], ended["reason"], skipped=True)
                outcome = self._start(cell)
                note = {"command": shlex.join(cell.command), "seconds": outcome.seconds}
                storage.write_json(self._note(cell), note | {"reason": outcome.reason})
                return outcome
        except Timeout:
            return None

    def _note(self, cell: Cell) -> Path:
        return self.logs / f"{cell.name}.json"

    def _ended(self, cell: Cell) -> dict | None:
        """The note on how this very command ended, if it did; damaged notes are ignored."""
        try:
            note = {"reason": ""} | json.loads(self._note(cell).read_text())
            ended = {"seconds": float(note["seconds"]), "reason": str(note["reason"])}
            return ended if note["command"] == shlex.join(cell.command) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _start(self, cell: Cell) -> Outcome:
        """Run a cell's process to its end; its output goes to a log file."""
        start = time.perf_counter()
        path = self.logs / f"{cell.name}.log"
        with open(path, "w") as file, self._surroundings() as surroundings:
            code = subprocess.run(
                [sys.executable, *cell.command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=surroundings,
                cwd=self.folder,
            ).returncode
        seconds = round(time.perf_counter() - start, 1)
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        reason = f"exit code {code}: {lines[-1] if lines else 'no output'}" if code else ""
        return Outcome(cell, seconds, reason)

    @contextmanager
    def _surroundings(self) -> Iterator[dict[str, str]]:
        """Environment of a cell: its fraction of the cores while it runs, and one of the GPUs."""
        at_a_time = self.jobs
        if self.backend == "dask":
            from distributed import get_worker

            at_a_time = get_worker().state.nthreads
        threads = str(self.threads or max(1, joblib.cpu_count() // at_a_time))
        limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        surroundings = os.environ | self.environment | dict.fromkeys(limits, threads)
        devices = ",".join(sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*")))
        gpus = surroundings.get("CUDA_VISIBLE_DEVICES", devices)
        with _taking:  # the smallest number that no other cell of this process uses
            seat = next(number for number in itertools.count() if number not in _taken)
            _taken.add(seat)
        if gpus:
            surroundings["CUDA_VISIBLE_DEVICES"] = gpus.split(",")[seat % len(gpus.split(","))]
        try:
            yield surroundings
        finally:
            _taken.discard(seat)


@contextmanager
def connected(scheduler: str) -> Iterator[None]:
    """Let joblib use the workers of a dask scheduler.

    Raises
    ------
    UserError
        If there is no scheduler or worker, workers keep dying, or dask is not installed.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise UserError("--backend dask needs dask: pip install -e '.[cluster]'") from error
    try:
        client = Client(scheduler or "none", timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--scheduler {scheduler!r}: no dask scheduler answers there ({error}); expected an "
            "address such as tcp://10.0.0.1:8786. Start one with `dask scheduler`, and a worker in "
            "this folder on each machine with `python -m dask worker ADDRESS --nthreads "
            "CELLS_AT_A_TIME`"
        ) from error
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise UserError(f"the scheduler {scheduler} has no workers: start some")
        try:
            yield
        except KilledWorker as error:
            raise UserError(
                f"workers died again and again ({error}); too little memory? Finished cells are "
                "kept: start again with fewer cells at a time"
            ) from error


def show(outcomes: Sequence[Outcome]) -> None:
    """Print a table of all cells, failed ones last."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("cell", "ended", "seconds", "reason"):
        table.add_column(head, justify="right" if head == "seconds" else "left")
    for outcome in sorted(outcomes, key=lambda o: (bool(o.reason), o.cell.name)):
        ended = "failed" if outcome.reason else "was there" if outcome.skipped else "ok"
        table.add_row(outcome.cell.name, ended, f"{outcome.seconds:.0f}", outcome.reason)
    console().print(table)
