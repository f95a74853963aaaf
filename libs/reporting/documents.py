"""The generated pages of ``docs/results/``: one per paper, and an index."""

import glob
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from libs import Metrics
from libs.plotting.tables import TextTable, decimals, escape
from libs.reporting.collection import read_numbers
from libs.reporting.page import sections
from libs.utils import storage

WIDTH = 100
"""Width of tables in characters."""
SHORTENED = r"-e\d+(?:-|$)"
"""Protocols with a reduced number of epochs: they show that code runs, not how well."""
AUTHORS = "authors.csv"
"""File in the result folder with results of the authors' code on the same data."""
FIGURES = ["AUC", "AP"]
"""Its columns of numbers."""
HEAD = """# Results under the protocol {}

Made by `make tables` from the files in `results/`; a test fails where the two differ. AUC and
average precision (AP) over the test rows of a view; mean±standard deviation over n seeds; the best
of each column in bold. **known**: normal rows and the anomaly classes known in training;
**unknown**: normal rows and classes never seen in training; **transfer**: all of them. A3-n25 had
25 known anomalies in training. Compare AP only within a table: its prevalence is what chance gives.
Data sets that end in -sample are a part of the published ones.
"""


def write_documents(rows: pd.DataFrame, results: Path, folder: Path) -> list[Path]:
    """Write ``<paper>.md`` and ``README.md``, and return their paths.

    Parameters
    ----------
    rows : DataFrame
        See `libs.reporting.collection.collect`.
    results : Path
        Where they were collected from.
    folder : Path
    """
    rows = rows[~rows["protocol"].str.contains(SHORTENED)]
    pages = {"README": [_index(rows)]}
    for section in sections(rows):
        paper = section.protocol.partition("-")[0]
        texts = pages.setdefault(paper, [HEAD.format(paper)])
        texts.append(f"{'#' * section.level} {escape(section.title)}\n")
        texts += filter(None, map(_markdown, section.blocks))
        if section.rows is not None:
            texts += _at_thresholds(section.rows.iloc[0], results)
            texts += _beside_the_authors(section.rows, results / AUTHORS)
    for name, texts in pages.items():
        storage.write_text(folder / f"{name}.md", "\n".join(texts))
    return [folder / f"{name}.md" for name in pages]


def _markdown(block: dict) -> str:
    """A block of a section; comparisons over seeds are left to the report."""
    if "heading" in block:
        return f"#### {escape(block['heading'])}\n"
    if "table" in block and "summary" not in block:
        return block["table"].markdown(WIDTH)
    return "".join(f"- {escape(line)}\n" for line in block.get("lines", ()))


def _index(rows: pd.DataFrame) -> str:
    """Table of the seeds of each data set and protocol."""
    groups = rows.groupby(["data_set", "protocol"])["seed"].unique().items()
    cells = [[*place, ", ".join(map(str, sorted(seeds)))] for place, seeds in groups]
    papers = sorted({protocol.partition("-")[0] for protocol in rows["protocol"]})
    links = "".join(f"- [{name}]({name}.md)\n" for name in papers)
    table = TextTable(["data set", "protocol", "seeds"], cells, "What has been run", keys=3)
    return f"# Results\n\nMade by `make tables`.\n\n{links}\n{table.markdown()}"


def _at_thresholds(place: pd.Series, results: Path) -> Iterator[str]:
    """Means over seeds of the metrics of an experiment's runs at the thresholds of each rule."""
    folder = results / place["data_set"] / place["protocol"]
    paths = sorted(folder.glob(f"*/{glob.escape(place['experiment'])}/test/*.thresholds.csv"))
    if paths:
        numbers = [*Metrics.THRESHOLDED, "FPR"]
        found = pd.concat([read_numbers(path, numbers, ["run", "rule"]) for path in paths])
        for rule, table in found.groupby("rule", sort=False):
            means = table.groupby("run", sort=False)[numbers].mean()
            rows = [[run, *map(decimals, row)] for run, row in means.iterrows()]
            words = f"Means over {len(paths)} seeds; threshold by {rule} on validation rows"
            yield TextTable(["run", *means.columns], rows, words).markdown(WIDTH)


def _beside_the_authors(rows: pd.DataFrame, path: Path) -> Iterator[str]:
    """Our scores and those of the authors' code, with the number of its runs."""
    if not path.is_file():
        return
    keys = ["data_set", "protocol", "experiment"]
    theirs = read_numbers(path, ["seed", "start", *FIGURES], [*keys, "view", "run", "source"])
    theirs = theirs[(theirs[keys] == rows.iloc[0][keys]).all(axis=1)]
    if not len(theirs):
        return
    both = {"ours": rows, "theirs": theirs}
    values = {whose: table.set_index(["run", "view"]) for whose, table in both.items()}
    lines, names = [], [f"{metric}, {whose}" for metric in FIGURES for whose in both]
    for place in values["theirs"].index.unique().intersection(values["ours"].index, sort=False):
        cells = []
        for metric in FIGURES:
            for whose in both:
                found = values[whose].loc[[place], metric].dropna()
                spread = f"±{decimals(found.std())}" if len(found) > 1 else ""
                cells.append(f"{decimals(found.mean())}{spread} ({len(found)})")
        lines.append([*place, *cells])
    runs = theirs.drop_duplicates(["seed", "start"])
    seeds = ", ".join(map(str, sorted(set(runs["seed"]))))
    caption = (
        f"Beside the authors' code ({theirs['source'].iloc[0]}): {len(runs)} of its runs, seeds "
        f"{seeds}; mean±standard deviation (runs)"
    )
    yield TextTable(["run", "view", *names], lines, caption, keys=2).markdown(WIDTH)
    for (seed, run), starts in theirs.groupby(["seed", "run"], sort=False):
        if starts["start"].max() > 1:
            yield f"{run}, seed {seed}: starts of their networks on the same rows gave\n"
            ranges = [
                f"- {view}: "
                + ", ".join(f"{m} {' and '.join(map(decimals, again[m]))}" for m in FIGURES)
                for view, again in starts.groupby("view", sort=False)
            ]
            yield "\n".join(ranges) + "\n"
