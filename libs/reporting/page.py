"""All results on one page that needs no web: tables, statistics in words, pictures."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from libs.experiments import result_tables
from libs.experiments.protocols.protocol import Series
from libs.experiments.result_files import natural
from libs.plotting import charts
from libs.reporting import comparison_tables as overview
from libs.reporting import statistics
from libs.reporting.comparison import (
    ABLATIONS,
    KINDS,
    OWN,
    Choice,
    Comparison,
    all_series,
    comparisons,
    own_methods,
    selected,
)
from libs.utils import storage

STYLE = """
:root { color-scheme: light dark; --line: #ccc; --soft: #f4f4f4; --mild: #666; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #222; --mild: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2.5rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figcaption, .mild { color: var(--mild); font-size: .9rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
tbody tr:nth-child(odd) { background: var(--soft); }
svg { background: #fff; border-radius: 4px; min-width: 34rem; max-width: 100%; height: auto; }
summary { cursor: pointer; margin: .5rem 0; }
nav ul { columns: 2 18rem; padding-left: 1.2rem; overflow-wrap: anywhere; }
"""
INTRODUCTION = """
<p>Made from the result files by <code>python evaluate_results.py --report</code>. AUC and average
precision (AP) over the test rows, mean ± standard deviation over seeds, the best of each column in
bold. <b>known</b>: normal rows and the anomaly classes known in training; <b>unknown</b>: normal
rows and classes never seen in training; <b>transfer</b>: all of them. A3-n25 had 25 known anomalies
in training. AP of a constant score is the prevalence in the caption: compare AP only within a
table.</p>
<p>Rows, epochs, updates and seconds are those of the training; 800/4 seconds served four label
budgets at once. A data set that ends in <b>-sample</b> is only a part of the published one, and a
protocol such as a3-e5 was trained for another number of epochs than its paper's.</p>
"""


def write_report(rows: pd.DataFrame, folder: Path) -> Path:
    """Write ``report.html`` and ``pictures/`` and return the page's path.

    Pictures of earlier reports that this one does not show are removed.

    Parameters
    ----------
    rows : DataFrame
        See `libs.reporting.collection.collect`.
    folder : Path
    """
    found, remarks = selected(rows, Choice(kinds=tuple(KINDS)))
    compared = list(comparisons(found, Choice(kinds=tuple(KINDS))))
    pictures = write_sweeps(rows, folder)
    table = result_tables.over_seeds(rows)
    body, contents = [], []

    def head(level: int, name: str, *words: str) -> None:
        anchor = "-".join("".join(c if c.isalnum() else "-" for c in word) for word in words)
        contents.append(f'<li><a href="#{anchor}">{html.escape(name)}</a></li>')
        body.append(f'<h{level} id="{anchor}">{html.escape(name)}</h{level}>')

    for protocol, part in table.groupby("protocol", sort=False):
        head(2, f"Protocol {protocol}", protocol)
        for (data_set, experiment), lines in part.groupby(["data_set", "experiment"], sort=False):
            head(3, f"{data_set}: {experiment}", protocol, data_set, experiment)
            body.append(
                _table(result_tables.pivot(lines, "**{}**".format), result_tables.caption(lines))
            )
            stem = f"{data_set}.{protocol}.{experiment}."
            body += [_picture(path) for path in pictures if path.name.startswith(stem)]
            body.append(_seeds(compared, protocol, data_set, experiment))
        head(3, f"Protocol {protocol} over data sets", protocol, "over data sets")
        body += [f"<p>{html.escape(r)}</p>" for r in remarks if r.startswith(f"{protocol}:")]
        for group in overview.by_table([c for c in compared if c.setting.protocol == protocol]):
            body += _over_data_sets(group, folder)
    page = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Results</title>\n<style>{STYLE}</style>\n<h1>Results</h1>\n{INTRODUCTION}"
        f"<nav><ul>{''.join(contents)}</ul></nav>\n" + "\n".join(filter(None, body)) + "\n</html>\n"
    )
    storage.write_text(folder / "report.html", page)
    for path in (folder / "pictures").glob("*.*"):
        drawn = path.suffix in (".png", ".svg")
        if drawn and f"<figcaption>{html.escape(path.stem)}<" not in page:
            path.unlink()
    return folder / "report.html"


def write_sweeps(rows: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw each sweep over label budgets, pollutions or normal letters into ``pictures/``.

    Returns
    -------
    list of Path
        Without suffix; the name starts with data set, protocol and experiment.
    """
    paths = []
    for name, sweep in _sweeps(rows):
        paths.append(folder / "pictures" / name)
        charts.sweep_picture(paths[-1], sweep)
    return paths


def _sweeps(rows: pd.DataFrame) -> Iterator[tuple[str, charts.Sweep]]:
    """File names and what the pictures show."""
    names = [natural(run) for run in rows["run"]]
    rows = rows.assign(
        method=[name for name, _ in names], budget=[n if n >= 0 else np.nan for _, n in names]
    )
    rows = rows[~rows["method"].isin(set(ABLATIONS) - OWN)]
    for (data_set, protocol, setup), group in rows.groupby(["data_set", "protocol", "setup"]):
        title = f"{data_set}, protocol {protocol}: {{}}"
        for experiment, part in group.groupby("experiment"):
            known = sorted(part["budget"].dropna().unique())
            if part.groupby("method")["budget"].nunique().max() > 1:
                swept = part.assign(x=part["budget"])
                yield (
                    f"{data_set}.{protocol}.{experiment}.budgets",
                    charts.Sweep(
                        _over_seeds(swept, protocol),
                        {n: f"{n:.0f}" for n in known},
                        "known anomalies in training",
                        title.format("label budgets"),
                        f"{experiment}\nmean ± standard deviation over n seeds",
                        logarithmic=True,
                    ),
                )
        largest = group[group["budget"].isna() | (group["budget"] == group["budget"].max())]
        labelled = largest[largest["budget"].notna()]
        shares = sorted(set((labelled if len(labelled) else largest)["pollution"]))
        if len(shares) > 1:
            yield (
                f"{data_set}.{protocol}.{setup}.pollutions",
                charts.Sweep(
                    _over_seeds(largest.assign(x=largest["pollution"]), protocol),
                    {p: f"{p:g}" for p in shares},
                    "share of anomalies among the normal training rows",
                    title.format("pollution"),
                    f"{setup}\nmean ± standard deviation over n seeds",
                ),
            )
    for series in all_series():
        yield from _series_sweeps(rows, series)


def _series_sweeps(rows: pd.DataFrame, series: Series) -> Iterator[tuple[str, charts.Sweep]]:
    """A sweep over the experiments of a series, for each data set, protocol and pollution."""
    base = rows["data_set"].str.removesuffix("-sample")
    found = rows[rows["normal"].isin(series.names) & (base == series.data_set)]
    for (data_set, protocol, _), group in found.groupby(["data_set", "protocol", "pollution"]):
        group = group[group["budget"].isna() | (group["budget"] == group["budget"].min())]
        places = group["normal"].map({normal: i for i, normal in enumerate(series.names)})
        if len(set(places)) > 1:
            yield (
                f"{data_set}.{protocol}.{group['experiment'].iloc[0]}.series",
                charts.Sweep(
                    _over_seeds(group.assign(x=places), protocol),
                    dict(enumerate(series.names.values())),
                    "normal classes",
                    f"{data_set}, protocol {protocol}: {series.title}",
                    "mean ± standard deviation over n seeds",
                ),
            )


def _over_seeds(rows: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """The table of a `libs.plotting.charts.Sweep`, the paper's own method first."""
    keys = ["view", "method", "x"]
    table = rows.groupby(keys, dropna=False)[["AUC", "AP"]].agg(["mean", "std", "count"])
    table.columns = [f"{metric}_{what}" for metric, what in table.columns]
    table = table.reset_index()
    own = own_methods(protocol)
    views = [result_tables.VIEWS.index(view) for view in table["view"]]
    order = [(v, m not in own, m) for v, m in zip(views, table["method"], strict=True)]
    return table.iloc[sorted(range(len(table)), key=order.__getitem__)]


def _seeds(compared: Sequence[Comparison], protocol: str, data_set: str, experiment: str) -> str:
    """The own method against the others over the seeds of one experiment, at its largest budget."""
    here = []
    for comparison in compared:
        values = comparison.values
        at = (values["data_set"] == data_set) & (values["experiment"] == experiment)
        if comparison.setting.protocol == protocol and at.any():
            here.append((comparison, values.loc[at, "setup"].iloc[0]))
    largest = max((c.setting.budget or 0 for c, _ in here), default=0)
    frames, seeds, own = [], 0, ""
    for comparison, setup in here:
        setting = comparison.setting
        if (setting.budget or 0) != largest:
            continue
        pairs = comparison.pairs_over_seeds(data_set, setup)
        if len(pairs):
            seeds = max(seeds, int(pairs[["wins", "ties", "losses"]].sum(axis=1).max()))
            own = comparison.own
            shown = overview.pair_table(pairs, "seeds")
            shown.insert(0, "test", f"{KINDS[setting.kind]}: {setting.metric}")
            frames.append(shown)
    if seeds < 2:
        return '<p class="mild">One seed: nothing to compare over seeds.</p>' if frames else ""
    about = (
        f"{own} with {largest} known anomalies against the others, in pairs of equal seeds: "
        "two-sided signed-rank test, corrected by Holm within each kind of test and metric. With "
        f"{seeds} seeds the smallest p is {statistics.number(statistics.smallest(seeds))} before "
        "correction (with five .0625)."
    )
    table = _table(pd.concat(frames), about)
    return f"<details><summary>{own} against the others, over seeds</summary>{table}</details>"


def _over_data_sets(group: Sequence[Comparison], folder: Path) -> Iterator[str]:
    """Tables of one kind and metric over data sets; statistics at the largest label budget."""
    setting = group[0].setting
    yield f"<h4>{setting.metric}, {KINDS[setting.kind]}</h4>"
    scores = overview.score_table(group, "**{}**".format)
    yield _table(scores, overview.caption(group))
    largest = max(c.setting.budget or 0 for c in group)
    for comparison in (c for c in group if (c.setting.budget or 0) == largest):
        words = [f"{overview.title(comparison)}.", *overview.sentences(comparison)]
        yield f"<p>{'<br>'.join(map(html.escape, words))}</p>"
        if len(comparison.table) < 2:
            continue
        yield _table(overview.rank_table(comparison.ranks()), f"Average ranks. {overview.INTERVAL}")
        yield _critical_difference(comparison, folder)
        if comparison.reference:
            about = (
                f"{comparison.reference} against the others over data sets: two-sided signed-rank "
                "test, corrected by Holm"
            )
            yield _table(overview.pair_table(comparison.pairs("wilcoxon"), "data sets"), about)


def _critical_difference(comparison: Comparison, folder: Path) -> str:
    """The diagram, or why there is none."""
    blocks, methods = comparison.table.shape
    if methods < 3:
        return ""
    if blocks < statistics.FEWEST:
        return (
            f'<p class="mild">No critical-difference diagram: {blocks} data sets are too few '
            f"(fewer than {statistics.FEWEST}) for a test over data sets to have power.</p>"
        )
    setting = comparison.setting
    ranks = comparison.ranks()["rank"]
    difference = statistics.critical_difference(methods, blocks)
    name = f"{setting.protocol}.{setting.kind}.n{setting.budget}.p{setting.pollution:g}"
    path = folder / "pictures" / f"{name}.{setting.metric}.ranks"
    charts.critical_difference_picture(
        path,
        ranks,
        difference,
        statistics.alike(ranks, difference),
        f"{overview.title(comparison)}\naverage ranks over {blocks} data sets (Nemenyi, 5 %)",
    )
    return _picture(path)


def _picture(path: Path) -> str:
    """A picture's SVG, part of the page."""
    drawing = path.with_name(f"{path.name}.svg").read_text()
    drawing = drawing[drawing.index("<svg") :]
    name = html.escape(path.name)
    return (
        f'<figure><div class="wide" role="img" aria-label="{name}">{drawing}</div>'
        f"<figcaption>{name}</figcaption></figure>"
    )


def _table(frame: pd.DataFrame, caption: str) -> str:
    """A table with its caption; text between ** is bold."""
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
    lines = []
    for row in frame.itertuples(index=False):
        cells = [html.escape(str(value)) for value in row]
        cells = [f"<b>{c[2:-2]}</b>" if c.startswith("**") else c for c in cells]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f'<figure><div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + f"\n</tbody></table></div><figcaption>{html.escape(caption)}</figcaption></figure>"
    )
