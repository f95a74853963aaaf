"""Tables of any size, scored by a saved model block by block; what was done survives a kill.

The scores of each block are a part of their own beside the output. A second start goes on where
parts are missing; at the end they become one file.
"""

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from libs import Metrics
from libs.datasets.readers.blocks import ahead
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.reading import STANDARD_INPUT, Block, read
from libs.detectors.attribution import strongest
from libs.detectors.detector import Detector
from libs.utils import storage
from libs.utils.errors import UserError
from libs.utils.progress import progress

log = logging.getLogger("a3")
JOB = "job.json"
"""File among the parts that says what they are parts of."""


class Scorer:
    """A saved model that scores raw rows.

    Parameters
    ----------
    folder : path
        A run's folder, or a method's that holds a single run.
    rate : float, optional
        Flag rows above the threshold that lets through at most this share of the normal validation
        rows.
    explained : int
        Name so many columns of the table that raised the score of a flagged row most. Without a
        rate, rows are flagged by the model's own.

    Raises
    ------
    UserError
        If there is no such model, its inputs are not known, it has too few calibration scores, or
        shall explain scores and cannot.
    """

    def __init__(self, folder: str | Path, rate: float | None = None, explained: int = 0):
        self.folder = run_folder(folder)
        self.detector = Detector.load(self.folder)
        self.encoder = Encoder.load(self.folder)
        inputs = self.encoder.schema.inputs
        self.explained = min(explained, len(inputs))
        if explained:
            self.detector.explain(np.zeros((1, len(self.encoder.features))))  # or a UserError now
            rate = getattr(self.detector, "rate_", None) if rate is None else rate
        self.rate = rate
        budgets = getattr(self.detector, "budgets_", None) or ()
        self.endings = [f"-n{b}" for b in budgets] if len(budgets) > 1 else [""]
        self.thresholds = None if rate is None else self._thresholds(rate)

    def _thresholds(self, rate: float) -> np.ndarray:
        """The threshold of each column of scores."""
        scores = getattr(self.detector, "calibration_scores_", None)
        if scores is None:
            raise UserError(f"{self.folder} has no calibration scores: train it by a do_ script")
        found = np.array([Metrics.threshold_at(column, rate) for column in scores.T])
        if np.isnan(found).any():
            raise UserError(
                f"a rate of {rate:g} needs at least {int(np.ceil(1 / rate))} normal validation "
                f"rows, the model has {len(scores)}; give a higher rate"
            )
        return found

    def describe(self) -> dict[str, Any]:
        """What decides the scores of a row, in JSON."""
        manifest = storage.sha256(self.folder / storage.MANIFEST)
        return {"model": manifest, "rate": self.rate, "explained": self.explained}

    def columns(self, block: Block) -> dict[str, np.ndarray]:
        """What is said of each row of a block.

        Returns
        -------
        dict of (n,) arrays
            ``score`` (float32; of several label budgets ``score-n5`` and so on), and with a rate
            ``anomaly`` (0 or 1); then ``feature_1`` (str), ``contribution_1`` (float32) and so on,
            empty where a row is not flagged. The score is infinite where a row is so far from all
            training rows that the arithmetic of the model overflows.
        """
        x = self.encoder.rows(block)
        scores = self.detector.decision_matrix(x)
        scores[np.isnan(scores)] = np.inf
        columns = {f"score{end}": scores[:, i] for i, end in enumerate(self.endings)}
        if self.thresholds is not None:
            flags = (scores > self.thresholds).astype(np.int8)
            columns |= {f"anomaly{end}": flags[:, i] for i, end in enumerate(self.endings)}
        if self.explained:
            columns |= self._reasons(x, flags[:, -1])
        return columns

    def _reasons(self, x: np.ndarray, flagged: np.ndarray) -> dict[str, pl.Series]:
        """The strongest columns of the flagged rows; features of one column are added up."""
        inputs, rows = self.encoder.schema.inputs, np.flatnonzero(flagged)
        names = np.full((len(x), self.explained), None, object)
        values = np.full((len(x), self.explained), np.nan, np.float32)
        if len(rows):
            found = self.detector.explain(x[rows]).contributions
            first = np.cumsum([0, *(len(column.features) for column in inputs[:-1])])
            found = np.add.reduceat(found, first, axis=1)
            rows, found = rows[(finite := np.isfinite(found).all(axis=1))], found[finite]
            strong = strongest(found, [column.name for column in inputs], self.explained)
            names[rows], values[rows] = strong
        columns = {}
        for i in range(self.explained):
            columns[f"feature_{i + 1}"] = pl.Series(names[:, i].tolist(), dtype=pl.String)
            columns[f"contribution_{i + 1}"] = pl.Series(values[:, i]).fill_nan(None)
        return columns


def run_folder(folder: str | Path) -> Path:
    """The folder of a run: itself, or the only one in a method's folder."""
    folder = Path(folder)
    found = sorted(path.parent for path in folder.glob(f"[!.]*/{storage.MANIFEST}"))
    if (folder / storage.MANIFEST).is_file() or not found:
        return folder
    if len(found) > 1:
        raise UserError(f"{folder} holds several models; name one: {', '.join(map(str, found))}")
    return found[0]


def score_files(scorer: Scorer, files: Sequence[str], out: str) -> int:
    """Score files into one.

    Parameters
    ----------
    scorer : Scorer
    files : sequence of str
        See `libs.datasets.tabular.reading.read`.
    out : str
        A ``.csv`` or ``.parquet`` file, or "-": CSV to standard output. A line for each row:
        ``file`` where there are several, ``row`` (from 1 in each file), and what
        `Scorer.columns` gives.

    Returns
    -------
    int
        How many rows were scored.
    """
    several = len(files) > 1
    with _shown(files) as show:
        if out == STANDARD_INPUT:
            return _to_standard_output(scorer, files, several, show)
        path = Path(out)
        if path.suffix not in (".csv", ".parquet"):
            raise UserError(f"--out {out}: expected a name that ends in .csv or .parquet, or -")
        folder = path.with_name(f"{path.name}.parts")
        with storage.explained(path), storage.locked(folder):
            _begin(folder, scorer.describe() | {"files": [_identity(file) for file in files]})
            try:
                parts = _parts(scorer, files, folder, several, show)
            except UserError:
                if not any(folder.glob("*.parquet")):  # nothing to go on with
                    shutil.rmtree(folder)
                raise
            joined = folder / f"{storage.TEMPORARY}joined"
            rows = _join(parts, joined, path.suffix == ".parquet")
            os.replace(joined, path)
            shutil.rmtree(folder)
        return rows


def _parts(
    scorer: Scorer,
    files: Sequence[str],
    folder: Path,
    several: bool,
    show: Callable[[int, Block, int], None],
) -> list[Path]:
    """Score what has no part in ``folder`` yet; all parts, in order."""
    parts, rows = [], 0
    for file, k, block in _numbered(files):
        parts.append(folder / f"{file}-{k}.parquet")
        if not parts[-1].is_file():
            with storage.replaced_file(parts[-1]) as temporary:
                scored_frame(scorer, block, several).write_parquet(temporary)
            rows += len(block)
        show(file, block, rows)
    return parts


def scored_frame(scorer: Scorer, block: Block, several: bool) -> pl.DataFrame:
    """A line for each row of a block; ``several``: name its file, too."""
    name = {"file": pl.Series([block.source]).new_from_index(0, len(block))} if several else {}
    return pl.DataFrame(name | {"row": np.asarray(block.numbers)} | scorer.columns(block))


def _numbered(files: Sequence[str]) -> Iterator[tuple[int, int, Block]]:
    """Blocks of all files, with the numbers of file and block; the next one is read meanwhile."""
    for i, file in enumerate(files):
        for k, block in enumerate(ahead(read(file))):
            yield i, k, block


def _to_standard_output(
    scorer: Scorer, files: Sequence[str], several: bool, show: Callable[[int, Block, int], None]
) -> int:
    rows = 0
    for file, _, block in _numbered(files):
        text = scored_frame(scorer, block, several).write_csv(include_header=not rows)
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        rows += len(block)
        show(file, block, rows)
    return rows


def _identity(file: str) -> list:
    """What tells whether a file is still the same one; standard input never is."""
    if file == STANDARD_INPUT or not Path(file).is_file():
        return [file, time.time_ns()]
    status = Path(file).stat()
    return [str(Path(file).resolve()), status.st_size, status.st_mtime_ns]


def _begin(folder: Path, job: dict[str, Any]) -> None:
    """Keep the parts that are there if they belong to the same job; else remove them."""
    try:
        same = json.loads((folder / JOB).read_text()) == job
    except (OSError, ValueError):
        same = False
    parts = list(folder.glob("*.parquet"))
    if same and parts:
        log.info("going on: %d parts in %s are done", len(parts), folder)
    if not same:
        for part in parts:
            part.unlink()
        storage.write_json(folder / JOB, job)


def _join(parts: Sequence[Path], path: Path, parquet: bool) -> int:
    """Write all parts into one file, one at a time; return the number of rows."""
    rows = 0
    if parquet:
        with pq.ParquetWriter(path, pq.read_schema(parts[0])) as writer:
            for part in parts:
                table: pa.Table = pq.read_table(part, partitioning=None)
                writer.write_table(table)
                rows += len(table)
        return rows
    with open(path, "wb") as file:
        for part in parts:
            frame = pl.read_parquet(part, use_statistics=False, memory_map=False)
            frame.write_csv(file, include_header=not rows)
            rows += len(frame)
    return rows


@contextmanager
def _shown(files: Sequence[str]) -> Iterator[Callable[[int, Block, int], None]]:
    """Yield ``show(file, block, rows)``: progress in bytes, and rows scored per second."""
    sizes = [Path(file).stat().st_size for file in files if Path(file).is_file()]
    total = sum(sizes) if len(sizes) == len(files) else None
    start, done = time.monotonic(), 0
    with progress("scoring", total) as advance:

        def show(file: int, block: Block, rows: int) -> None:
            nonlocal done
            read_now = block.read + sum(sizes[:file]) if total else 0
            rate = rows / max(1e-9, time.monotonic() - start)
            advance(read_now - done, f"{rate:,.0f} rows/s")
            done = read_now

        yield show
