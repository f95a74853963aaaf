"""Scoring tables of any size with a saved model, block by block, resumable at any point.

The scores of each block are written to a part file beside the output. A restart computes the
missing parts; at the end they are joined into one file.
"""

import io
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from libs import Metrics
from libs.datasets.readers.delimited import read_ahead
from libs.datasets.tabular.cells import identify
from libs.datasets.tabular.reading import MOST_ROWS, STANDARD_INPUT, Block, read
from libs.datasets.tabular.schema import join_names
from libs.experiments.scorer import ROWS, Scorer
from libs.utils import storage
from libs.utils.errors import UserError
from libs.utils.progress import progress

log = logging.getLogger("a3")
JOB = "job.json"
"""File among the parts that identifies the job they belong to."""
PART = r"\d+-\d+\.parquet"
"""Pattern of the names of parts."""
COUNTS = "a3"
"""Key of a part's counts in its metadata."""
Show = Callable[[int, Block, int], None]


def score_files(scorer: Scorer, files: Sequence[str], out: str) -> Counter:
    """Score files into one.

    Parameters
    ----------
    scorer : Scorer
    files : sequence of str
        See `libs.datasets.tabular.reading.read`.
    out : str
        A ``.csv`` or ``.parquet`` file, or "-": CSV to standard output. A line for each row:
        ``file``, ``row`` (from 1 in each file), ``line`` (of a CSV file, as an editor counts),
        the columns `Scorer.ids`, and what `Scorer.columns` gives.

    Returns
    -------
    Counter
        Sums of `Scorer.counts`.
    """
    with _shown(files) as show:
        if out == STANDARD_INPUT:
            return _to_standard_output(scorer, files, show)
        path = Path(out)
        _check_out(path, files)
        folder = path.with_name(f"{path.name}.parts")
        busy = f"another process writes {out}: wait for its end, or choose another --out"
        with storage.explained(path), _owned(folder, busy):
            _begin(folder, scorer.describe() | {"files": [_identity(file) for file in files]})
            try:
                parts = _score_parts(scorer, files, folder, show)
            except UserError:
                if not any(folder.glob("*.parquet")):  # nothing to resume from
                    _remove(folder)
                raise
            joined = folder / f"{storage.TEMPORARY}joined"
            counts = _join(parts, joined, path.suffix == ".parquet")
            os.replace(joined, path)
            _remove(folder)
        return counts


def flag_highest(scorer: Scorer, files: Sequence[str], alerts: int) -> None:
    """Let a scorer flag the rows with the highest scores of all files, which are read for that.

    Parameters
    ----------
    scorer : Scorer
    files : sequence of str
        See `score_files`; not standard input, which cannot be read twice.
    alerts : int
        How many rows are flagged; fewer where equal scores would make them more.
    """
    if STANDARD_INPUT in files:
        raise UserError(
            "--threshold alerts=N reads the rows twice, which standard input does not allow: name "
            "a file, or give --threshold fpr=RATE"
        )
    encoding = scorer.encoder.schema.notation.encoding
    blocks = (block for file in files for block in read(file, scorer.wanted, encoding=encoding))
    scores = (scorer.score(block)[1] for block in blocks)
    scorer.rate, scorer.thresholds = None, Metrics.threshold_for(scores, alerts)


def _check_out(path: Path, files: Sequence[str]) -> None:
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {path}: expected a name that ends in .csv or .parquet, or -")
    for file in files:
        if file != STANDARD_INPUT and path.resolve() == Path(file).resolve():
            raise UserError(f"--out {path} is one of the files to score: name another one")


@contextmanager
def _owned(folder: Path, busy: str) -> Iterator[None]:
    """Lock the folder of parts, which another process may remove; refuse other folders."""
    ours = rf"{re.escape(JOB)}|{re.escape(storage.TEMPORARY)}.*|\.lock|{PART}"
    while True:
        names = os.listdir(folder) if folder.is_dir() else []
        foreign = sorted(name for name in names if not re.fullmatch(ours, name))
        if foreign:
            raise UserError(
                f"{folder} holds {join_names(foreign, 3)}, which score.py did not write; it would "
                "keep parts of the scores there: choose another --out"
            )
        with storage.locked(folder, busy):
            if (folder / ".lock").is_file():
                yield
                return


def _remove(folder: Path) -> None:
    """Remove what `score_files` wrote, and the folder."""
    for path in [*folder.glob("*.parquet"), folder / JOB, folder / ".lock"]:
        path.unlink(missing_ok=True)
    folder.rmdir()


def _score_parts(scorer: Scorer, files: Sequence[str], folder: Path, show: Show) -> list[Path]:
    """Score the blocks without a part in ``folder``; return all parts in order."""
    parts, rows = [], 0
    for file, k, block in _number_blocks(scorer, files):
        parts.append(folder / f"{file}-{k}.parquet")
        if not parts[-1].is_file():
            part = io.BytesIO()
            frame = score_block(scorer, block)
            frame.write_parquet(part, metadata={COUNTS: json.dumps(scorer.counts)})
            with storage.replaced_file(parts[-1]) as temporary:
                temporary.write_bytes(part.getbuffer())
            rows += len(block)
        show(file, block, rows)
    return parts


def score_block(scorer: Scorer, block: Block) -> pl.DataFrame:
    """A line for each row of a block: position, identifiers and scores."""
    scores = pl.DataFrame(scorer.columns(block))
    return identify(block, scorer.ids, scores.columns).hstack(scores)


def _number_blocks(scorer: Scorer, files: Sequence[str]) -> Iterator[tuple[int, int, Block]]:
    """Yield numbers of file and block and the block; the next one is read meanwhile."""
    schema = scorer.encoder.schema
    for i, file in enumerate(files):
        blocks = read(file, scorer.wanted, encoding=schema.notation.encoding)
        for k, block in enumerate(read_ahead(blocks)):
            foreign = [name for name in schema.unknown_columns(block) if name not in scorer.ids]
            if foreign and not k:
                log.warning(
                    "%s: columns unknown to the model: %s", block.source, join_names(foreign)
                )
            yield i, k, block


def _to_standard_output(scorer: Scorer, files: Sequence[str], show: Show) -> Counter:
    counts: Counter = Counter()
    for file, _, block in _number_blocks(scorer, files):
        text = score_block(scorer, block).write_csv(include_header=not counts[ROWS])
        _write_out(text.encode())
        counts += scorer.counts
        show(file, block, counts[ROWS])
    return counts


def _write_out(content: bytes) -> None:
    """Write to standard output; a BrokenPipeError if the reader has closed it."""
    if sys.stdout is None:
        raise UserError("standard output is closed: name a file with --out")
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # what remains in the buffer would fail again when Python exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise storage.WriteError(
            f"cannot write to standard output: {error.strerror or error}. Make room, or name a "
            "file with --out"
        ) from error


def _identity(file: str) -> list:
    """Identity of a file, to detect changes; standard input never counts as the same."""
    if file == STANDARD_INPUT or not Path(file).is_file():
        return [file, time.time_ns()]
    path = Path(file).resolve()
    return [str(path), path.stat().st_mtime_ns, storage.sample_of(path)]


def _begin(folder: Path, job: dict[str, Any]) -> None:
    """Keep existing parts if they belong to the same job; else remove them."""
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


def _join(parts: Sequence[Path], path: Path, parquet: bool) -> Counter:
    """Join all parts into one file; return the sum of their counts."""
    counts: Counter = Counter()
    for part in parts:
        counts += Counter(json.loads(pl.read_parquet_metadata(part)[COUNTS]))
    if parquet:
        try:
            pl.scan_parquet(parts).sink_parquet(path, row_group_size=MOST_ROWS)
        except pl.exceptions.PolarsError as error:
            raise storage.WriteError(
                f"cannot write {path.parent}: {error}. Make room, and start again: what is "
                "scored is kept."
            ) from error
        return counts
    with open(path, "wb") as file:
        for i, part in enumerate(parts):
            frame = pl.read_parquet(part, use_statistics=False, memory_map=False)
            file.write(frame.write_csv(include_header=not i).encode())
    return counts


@contextmanager
def _shown(files: Sequence[str]) -> Iterator[Show]:
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
