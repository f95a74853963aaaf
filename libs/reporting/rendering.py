"""Rendering comparisons: tables like those of the papers, verdicts in words, raw numbers."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from libs import Metrics
from libs.experiments.averages import mean_cells
from libs.experiments.result_files import describe_pollution, natural
from libs.plotting.tables import TextTable, decimals
from libs.reporting import statistics
from libs.reporting.comparison import KINDS, Comparison, all_series, place_order
from libs.utils import storage

PLACES = ["n", "pollution", "data set"]
PAIRED = ("wilcoxon", "nemenyi")
"""Tests that compare the paper's method with each other one."""
INTERVAL = (
    "Intervals: 95 %, bootstrap over the seeds within each data set, for these data sets; with few "
    "seeds too narrow."
)


def place_names(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], str]:
    """A short name of each data set and setup: numbered where a data set has several setups."""
    places = sorted({place for c in comparisons for place in c.cells.index}, key=place_order)
    names = {}
    series = {normal: name for s in all_series() for normal, name in s.names.items()}
    for data_set, setup in places:
        setups = [other for name, other in places if name == data_set]
        normal = setup.partition("_known_")[0]
        if len(setups) > 1 and normal in series:
            names[data_set, setup] = series[normal]
        else:
            number = f" ({setups.index(setup) + 1})" if len(setups) > 1 else ""
            names[data_set, setup] = f"{data_set}{number}"
    return names


def score_table(
    comparisons: Sequence[Comparison], *, test: str = "", with_std: bool = True, means: int = 0
) -> TextTable:
    """Label budgets, pollutions and data sets in rows, methods in columns; the best ones in bold.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Of one protocol, kind and metric.
    test : {"", "wilcoxon", "nemenyi", "friedman"}
        Adds p of the paper's method against each other one.
    with_std : bool
        Show standard deviations.
    means : {0, 1, 2}
        1: only the rows of means and p; 2: all rows but these.
    """
    rows, names, metric = [], place_names(comparisons), comparisons[0].setting.metric
    for comparison in comparisons:
        budget = comparison.setting.budget
        place = {"n": "–" if budget is None else str(budget)}
        place["pollution"] = f"{comparison.setting.pollution:g}"
        if means != 1:
            for at, row in comparison.cells["mean"].iterrows():
                stds = comparison.cells["std"].loc[at] * (1 if with_std else np.nan)
                cells = dict(zip(row.index, mean_cells(row, stds, metric), strict=True))
                rows.append(place | {"data set": names[at]} | cells)
        if means != 2 and len(comparison.table) > (means != 1):
            row = comparison.table.mean()
            cells = dict(zip(row.index, mean_cells(row, row * np.nan, metric), strict=True))
            rows.append(place | {"data set": "mean"} | cells)
            if comparison.reference and test in PAIRED:
                rows += [place | row for row in _p_rows(comparison, test)]
    methods = {name for row in rows for name in row if name not in PLACES}
    own = [c.own for c in comparisons]
    order = sorted(methods, key=lambda name: (name not in own, natural(name)))
    places = [name for name in PLACES if name not in PLACES[:2] or len({r[name] for r in rows}) > 1]
    cells = [[row.get(name, "–") for name in [*places, *order]] for row in rows]
    return TextTable([*places, *order], cells, caption(comparisons, with_std), len(places))


def _p_rows(comparison: Comparison, test: str) -> list[dict[str, str]]:
    pairs = comparison.pairs(test)
    shown = {"p, Nemenyi": "p"} if test == "nemenyi" else {"p": "p", "p, Holm": "corrected"}
    return [
        {"data set": name} | {other: statistics.format_p(p) for other, p in pairs[column].items()}
        for name, column in shown.items()
    ]


def caption(comparisons: Sequence[Comparison], with_std: bool = True) -> str:
    """Caption of a `score_table`."""
    numbered = [
        f"{name}: {setup}"
        for (_, setup), name in place_names(comparisons).items()
        if name.endswith(")")
    ]
    setting = comparisons[0].setting
    samples = any("-sample" in name for c in comparisons for name in c.means.index)
    words = [f"{setting.metric} of protocol {setting.protocol}, {KINDS[setting.kind]}"]
    if len({c.setting.budget for c in comparisons}) == 1 and setting.budget is not None:
        words[0] += f", {setting.budget} known anomalies in training"
    if len({c.setting.pollution for c in comparisons}) == 1:
        words[0] += f", {describe_pollution(setting.pollution)}"
    spread = ", ± standard deviation where there is one" if with_std else ""
    words.append(f"mean over seeds{spread}")
    if len({c.setting.budget for c in comparisons}) > 1:
        words.append("n: known anomalies in training")
    if samples:
        words.append("-sample: only a part of the data is at hand")
    return "; ".join([*words, *numbered])


def pair_table(pairs: pd.DataFrame, blocks: str) -> pd.DataFrame:
    """Rows of `libs.reporting.statistics.compare_with` as text, with a verdict each.

    Parameters
    ----------
    pairs : DataFrame
        With or without the bounds ``low`` and ``high`` of the difference.
    blocks : str
        What the blocks are: ``data sets`` or ``seeds``.
    """
    shown = pd.DataFrame({"against": pairs.index})
    shown["difference"] = [format_difference(d) for d in pairs["difference"]]
    if "low" in pairs:
        bounds = zip(pairs["low"], pairs["high"], strict=True)
        shown["interval"] = [
            "–" if np.isnan(a) else f"{format_difference(a)} to {format_difference(b)}"
            for a, b in bounds
        ]
    counts = pairs[["wins", "ties", "losses"]].astype(int)
    shown["wins–ties–losses"] = ["–".join(map(str, row)) for row in counts.to_numpy()]
    shown["p"] = [statistics.format_p(p) for p in pairs["p"]]
    shown["corrected"] = [statistics.format_p(p) for p in pairs["corrected"]]
    shown["in words"] = [statistics.describe_pair(pair, blocks) for _, pair in pairs.iterrows()]
    return shown


def verdicts(pairs: pd.DataFrame, blocks: str) -> list[str]:
    """The verdicts of `pair_table`, each with the methods it applies to."""
    words = [statistics.describe_pair(pair, blocks) for _, pair in pairs.iterrows()]
    same = pairs.index.to_series().groupby(words, sort=False)
    return [f"Against {', '.join(others)}: {verdict}." for verdict, others in same]


def rank_table(ranks: pd.DataFrame) -> pd.DataFrame:
    """`Comparison.ranks` as text."""
    bounds = zip(ranks["low"], ranks["high"], strict=True)
    return pd.DataFrame(
        {
            "method": ranks.index,
            "average rank": [f"{rank:.2f}" for rank in ranks["rank"]],
            "mean": [decimals(mean) for mean in ranks["mean"]],
            "interval": [
                "–" if np.isnan(low) else f"{decimals(low)} to {decimals(high)}"
                for low, high in bounds
            ],
        }
    )


def sentences(comparison: Comparison) -> list[str]:
    """Friedman's test, and what the statistics leave out, in words."""
    words = comparison.remarks()
    if comparison.table.size:
        words.insert(0, statistics.describe_friedman(comparison.table))
    return words


def title(comparison: Comparison) -> str:
    """One setting in a few words."""
    setting = comparison.setting
    budget = "" if setting.budget is None else f", {setting.budget} known anomalies"
    pollution = f", {describe_pollution(setting.pollution)}" if setting.pollution else ""
    return f"{setting.protocol}, {KINDS[setting.kind]}{budget}{pollution}: {setting.metric}"


def raw_scores(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Unrounded cells: a row per setting (without its metric) and setup, a column per number."""
    frames = []
    for comparison in comparisons:
        setting = comparison.setting
        cells = comparison.cells.reorder_levels([1, 0], axis=1)
        cells.columns = [f"{method}-{setting.metric}-{what}" for method, what in cells.columns]
        place = ["protocol", "kind", "n", "pollution"]
        values = [setting.protocol, setting.kind, setting.budget, setting.pollution]
        index = cells.reset_index().assign(**dict(zip(place, values, strict=True)))
        frames.append(index.set_index([*place, "data_set", "setup"]))
    metrics = {c.setting.metric: [] for c in comparisons}
    for comparison, frame in zip(comparisons, frames, strict=True):
        metrics[comparison.setting.metric].append(frame)
    return pd.concat([pd.concat(parts) for parts in metrics.values()], axis=1)


def raw_pairs(comparisons: Sequence[Comparison], test: str) -> pd.DataFrame:
    """Unrounded statistics: a row per setting and method compared with the paper's."""
    frames = []
    for comparison in comparisons:
        if comparison.reference is None:
            continue
        pairs = comparison.pairs(test)
        words = [statistics.describe_pair(pair, "data sets") for _, pair in pairs.iterrows()]
        place = vars(comparison.setting) | {"reference": comparison.reference}
        frames.append(pairs.reset_index().assign(**place, in_words=words))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def format_difference(value: float) -> str:
    """A difference as papers print it: ``+.012``, ``-.200``."""
    return ("-" if value < 0 else "+") + decimals(abs(value))


def group_by_table(comparisons: Sequence[Comparison]) -> Iterator[list[Comparison]]:
    """Group the comparisons of one protocol, kind and metric, which share a `score_table`."""

    def place(comparison: Comparison) -> tuple[str, int, int]:
        setting = comparison.setting
        metric = list(Metrics.COLUMNS).index(setting.metric)
        return setting.protocol, list(KINDS).index(setting.kind), metric

    for _, group in groupby(sorted(comparisons, key=place), key=place):
        yield list(group)


def write(
    comparisons: Sequence[Comparison],
    folder: Path,
    *,
    test: str = "",
    with_std: bool = False,
    means: int = 0,
    by_method: bool = False,
) -> None:
    """Show the papers' tables and their statistics, and write them.

    Parameters
    ----------
    comparisons : sequence of Comparison
    folder : Path
        Gets ``comparison.csv``, ``.pairs.csv``, ``.md`` and ``.tex``.
    test, with_std, means
        See `score_table`.
    by_method : bool
        A row per method, instead of a column.
    """
    markdown, latex = [], []
    for group in group_by_table(comparisons):
        table = score_table(group, test=test, with_std=with_std, means=means)
        tables = [table.transpose("method") if by_method else table]
        words = []
        for comparison in group:
            words += [f"{title(comparison)}.", *sentences(comparison)]
            if test in PAIRED and comparison.reference:
                pairs = comparison.pairs(test)
                heading = f"{title(comparison)}: {comparison.reference} against the others ({test})"
                tables.append(TextTable.of(pair_table(pairs, "data sets"), heading))
                words += [*verdicts(pairs, "data sets"), INTERVAL]
        for table in tables:
            table.show()
        print(*words, sep="\n  ", end="\n\n")
        markdown += [table.markdown() for table in tables]
        markdown.append("\n".join(f"- {line}" for line in words) + "\n")
        latex.append(tables[0].latex())
    storage.write_text(folder / "comparison.csv", raw_scores(comparisons).to_csv())
    if test in PAIRED:
        pairs = raw_pairs(comparisons, test)
        storage.write_text(folder / "comparison.pairs.csv", pairs.to_csv(index=False))
    storage.write_text(folder / "comparison.md", "\n".join(markdown))
    storage.write_text(folder / "comparison.tex", "\n".join(latex))
    print(f"comparison.csv, comparison.md and comparison.tex in {folder}")
