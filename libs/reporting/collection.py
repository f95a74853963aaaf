"""Collects result files, and puts finished tables into texts."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from libs.experiments.stored_runs import DESCRIPTION
from libs.utils.errors import UserError


def collect(results: Path, part: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Every row of every metric file below a folder.

    Parameters
    ----------
    results : Path
    part : {"val", "test"}
    seeds : sequence of int
        Only these; all if empty.

    Returns
    -------
    DataFrame
        Columns of the metric files, and data_set, protocol, seed, experiment, view and what
        `_place` says of the experiment.

    Raises
    ------
    UserError
        If there is nothing to collect, or a file cannot be read.
    """
    frames = []
    for description in sorted(Path(results).glob(f"*/*/*/*/{part}/{DESCRIPTION}")):
        try:
            frames += _metrics(description, seeds)
        except (ValueError, KeyError, OSError, pd.errors.EmptyDataError) as error:
            raise UserError(
                f"{description.parent} holds damaged result files ({error}); run its do_ script or "
                "evaluate_models.py again, which writes them anew"
            ) from error
    if not frames:
        chosen = f" of seeds {', '.join(map(str, seeds))}" if seeds else ""
        raise UserError(
            f"no {part} results{chosen} in {results}: expected <data set>/<protocol>/<seed>/"
            f"<experiment>/{part}/*.metric.csv there. Run a do_ script first."
        )
    return pd.concat(frames, ignore_index=True)


def _metrics(description: Path, seeds: Sequence[int]) -> list[pd.DataFrame]:
    """Metric tables of one result folder, each with its place; none if the seed is not wanted."""
    about = json.loads(description.read_text())
    if seeds and about["data"]["seed"] not in seeds:
        return []
    place = _place(about, description.parent.parent.name)
    return [
        pd.read_csv(path).assign(**place, view=path.name.removesuffix(".metric.csv"))
        for path in sorted(description.parent.glob("*.metric.csv"))
    ]


def _place(about: Mapping, experiment: str) -> dict:
    """Where results belong, from ``experiment.json`` and the experiment's folder.

    ``setup`` is the experiment without its ``pollution``; ``held_out`` says that some anomaly
    classes are known in training and others are not.
    """
    classes, share = about["experiment"], about["p_contamination"]
    return {
        "data_set": about["data"]["data_set"],
        "protocol": about["protocol"],
        "seed": about["data"]["seed"],
        "experiment": experiment,
        "setup": experiment.removesuffix(f"-p{share:g}"),
        "pollution": float(share),
        "normal": "+".join(classes["normal"]),
        "held_out": bool(classes["known"] and classes["unknown"]),
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
        try:
            frames.append(pd.read_csv(path).astype({"AUC": float, "jointly": float}))
        except (ValueError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}); run evaluate_models.py again") from error
    return pd.concat(frames, ignore_index=True)


def markdown(shown: pd.DataFrame, caption: str) -> str:
    """Write a pivoted table as markdown."""
    head = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * len(shown.columns)]
    body = ["| " + " | ".join(map(str, row)) + " |" for row in shown.itertuples(index=False)]
    return "\n".join([f"{caption}.", "", *head, *body, ""])


def filled(text: str, tables: Mapping[tuple[str, str, str], str]) -> str:
    """Put tables into a text, between its lines ``<!-- table ... -->`` and ``<!-- /table -->``.

    Parameters
    ----------
    text : str
    tables : mapping of (data set, protocol, experiment) to str

    Raises
    ------
    UserError
        If the text asks for a table that is not there.
    """

    def table(match: re.Match) -> str:
        place = tuple(match[2].split(" ", 2))
        if place not in tables:
            known = "; ".join(map(" ".join, tables))
            raise UserError(f"no results for the table {match[2]!r}; there are: {known}")
        return f"{match[1]}\n{tables[place]}\n{match[3]}"

    return re.sub(r"(<!-- table (.+?) -->\n).*?(<!-- /table -->)", table, text, flags=re.DOTALL)


def latex(shown: pd.DataFrame, caption: str) -> str:
    """Write a pivoted table as LaTeX (needs the package booktabs)."""

    def escaped(text: object) -> str:
        text = str(text).replace("±", r"$\pm$").replace("–", "--")
        return "".join("\\" + c if c in "_%&#" else c for c in text)

    rows = [" & ".join(map(escaped, row)) + r" \\" for row in shown.itertuples(index=False)]
    head = " & ".join(map(escaped, shown.columns)) + r" \\"
    lines = [r"\begin{table}", rf"\caption{{{escaped(caption)}}}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(shown.columns) - 1)}}}", r"\toprule", head]
    return "\n".join(
        [*lines, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    )
