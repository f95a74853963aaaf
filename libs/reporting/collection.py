"""Collects result files into one table."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from libs import Metrics
from libs.datasets.splits.experiment import Experiment
from libs.experiments.averages import VIEWS
from libs.experiments.result_files import describe_pollution, list_classes
from libs.experiments.stored_runs import DESCRIPTION, TRAINED
from libs.utils.errors import UserError

NUMBERS = ["prevalence", *TRAINED, "jointly"]
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError)
"""What reading a damaged file raises."""


def collect(results: Path, split: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Every row of every metric file below a folder.

    Parameters
    ----------
    results : Path
    split : {"val", "test"}
    seeds : sequence of int
        Only these; all if empty.

    Returns
    -------
    DataFrame
        Columns of the metric files, data_set, protocol, seed, experiment, view, ``written`` (when),
        and the columns that `_place` adds.

    Raises
    ------
    UserError
        If there is nothing to collect, or a file cannot be read.
    """
    frames, places = [], []
    for folder in result_folders(results, split):
        if not seeds or int(folder.parts[-3]) in seeds:
            place = _place(folder)
            for path in sorted(folder.glob("*.metric.csv")):
                frames.append(_metrics(path))
                place |= {"view": _view(path), "written": path.stat().st_mtime}
                places += [place.copy()] * len(frames[-1])
    if not frames:
        chosen = f" of seeds {', '.join(map(str, seeds))}" if seeds else ""
        raise UserError(
            f"no {split} results{chosen} in {results}: expected <data set>/<protocol>/<seed>/"
            f"<experiment>/{split}/*.metric.csv there. Run a do_ script first."
        )
    return pd.concat([pd.concat(frames, ignore_index=True), pd.DataFrame(places)], axis=1)


def result_folders(results: Path, split: str) -> Iterator[Path]:
    """Folders ``<data set>/<protocol>/<seed>/<experiment>/<split>`` with a description."""
    for path in sorted(Path(results).glob(f"*/*/*/*/{split}/{DESCRIPTION}")):
        if path.parts[-4].isdecimal():
            yield path.parent


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn the exceptions of reading a damaged file into a UserError."""
    try:
        yield
    except (*DAMAGE, UserError) as error:
        raise UserError(
            f"{path.parent} holds damaged result files: {path.name} ({type(error).__name__}: "
            f"{str(error)[:200]}); run its do_ script or evaluate_models.py again, which writes "
            "them anew"
        ) from error


def read_numbers(path: Path, numbers: Sequence[str], words: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file and check its columns.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    with undamaged(path):
        table = pd.read_csv(path, dtype=dict.fromkeys(words, str))
        _make_numeric(table, [*numbers, *(name for name in table if "@" in name)])  # F1@0.01, ...
        if table[words].isna().any(axis=None):
            raise ValueError(f"expected {', '.join(words)} in each row")
        if not set(table.get("view", ())) <= set(VIEWS):
            raise ValueError(f"expected views {', '.join(VIEWS)}")
    return table


def _make_numeric(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Let columns hold numbers; a ValueError or KeyError says that one does not, or is missing."""
    for name in names:
        if not is_numeric_dtype(table[name]):
            table[name] = pd.to_numeric(table[name])


def _view(path: Path) -> str:
    return path.name.removesuffix(".metric.csv")


def _metrics(path: Path) -> pd.DataFrame:
    """Read a metric file; metrics introduced later are empty."""
    table = read_numbers(path, NUMBERS, ["run"])
    with undamaged(path):
        table = table.reindex(columns=[*dict.fromkeys([*table, *Metrics.COLUMNS])])
        _make_numeric(table, Metrics.COLUMNS)
        if _view(path) not in VIEWS or table["run"].duplicated().any():
            raise ValueError(f"expected one of {', '.join(VIEWS)}, each run once")
    return table


def _place(folder: Path) -> dict:
    """Keys of results, from the names of their folders and ``experiment.json``.

    ``setup`` is the experiment without its ``pollution``; ``held_out``: some anomaly classes are
    known in training and others are not; ``about`` names the classes.
    """
    with undamaged(folder / DESCRIPTION):
        about = json.loads((folder / DESCRIPTION).read_text())
        pollution = float(about["p_contamination"])
        experiment = Experiment.of(about["experiment"])
        experiment.name  # noqa: B018  (fails where a class is no text)
    data_set, protocol, seed, name, _ = folder.parts[-5:]
    held_out = [
        f"{list_classes(getattr(experiment, role))} ({role})"
        for role in ("known", "unknown")
        if getattr(experiment, role)
    ]
    words = " against ".join(
        filter(None, [list_classes(experiment.normal), " and ".join(held_out)])
    )
    return {
        "data_set": data_set,
        "protocol": protocol,
        "seed": int(seed),
        "experiment": name,
        "setup": name.removesuffix(f"-p{pollution:g}"),
        "pollution": pollution,
        "normal": "+".join(experiment.normal),
        "held_out": len(held_out) > 1,
        "about": f"{words}, {describe_pollution(pollution)}" if pollution else words,
    }


def collect_rescored(folder: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """Every row of the files ``all_results_SEED.csv`` that evaluate_models.py writes.

    Parameters
    ----------
    folder : Path
    seeds : sequence of int
        Only these; all if empty.

    Raises
    ------
    UserError
        If there is nothing to collect, or a file cannot be read.
    """
    names = [f"all_results_{seed}.csv" for seed in seeds] or ["all_results_*.csv"]
    paths = [path for name in names for path in sorted(Path(folder).glob(name))]
    if not paths:
        raise UserError(f"no {' or '.join(names)} in {folder}. Run evaluate_models.py first.")
    frames = []
    for path in paths:
        words = ["data_set", "protocol", "experiment", "view", "run"]
        frames.append(read_numbers(path, [*Metrics.COLUMNS, *NUMBERS], words))
    return pd.concat(frames, ignore_index=True)
