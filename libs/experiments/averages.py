"""Results over seeds: mean, standard deviation, count, as tables with the best in bold."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from libs import Metrics
from libs.DataHandler import Splits, view_labels
from libs.experiments.protocols.registry import protocol_of
from libs.experiments.result_files import natural
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import TRAINED, StoredRun
from libs.experiments.thresholds import ThresholdRule
from libs.plotting.tables import Bold, TextTable, decimals

log = logging.getLogger("a3")
GROUP = ["data_set", "protocol", "experiment", "view", "run"]
VIEWS = ("known", "transfer", "unknown")


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, sample standard deviation (NaN for one seed) and count of each run over its seeds.

    Failed runs count as missing; epochs, updates and seconds are means. Runs of several precisions,
    where files say which, are groups of their own with the precision in their names.
    """
    precise = "precision" in rows
    if precise:
        rows = _told_apart(rows)
    groups = rows.groupby(GROUP, sort=False)
    metrics = [*Metrics.COLUMNS, *(c for c in rows if "@" in c)]  # F1@0.01 and so on
    table = groups[metrics].agg(["mean", "std", "count"])
    table.columns = [f"{metric}_{what}" for metric, what in table.columns]
    trained = ["prevalence", *TRAINED, "jointly"]
    table = table.join(groups[trained].mean())
    if precise:
        table = table.join(groups["precision"].first())
    table = table.reset_index()
    table["_run"] = table["run"].map(natural)
    table["_view"] = table["view"].map(VIEWS.index)
    order = ["data_set", "protocol", "experiment", "_view", "_run"]
    return table.sort_values(order, ignore_index=True).drop(columns=["_run", "_view"])


def _told_apart(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one run in several precisions, with these in its name: ``A3-n5 (bfloat16)``."""
    groups = rows.groupby(GROUP)["precision"]
    failed = rows.get("status", pd.Series("ok", rows.index)) == "error"
    told = rows["precision"].astype(object)  # numbers, if no file says which
    precision = told.mask(failed, groups.transform("first")).fillna("unknown")
    several = precision.groupby([rows[key] for key in GROUP]).transform("nunique") > 1
    names = rows["run"].mask(several, rows["run"] + " (" + precision + ")")
    return rows.assign(precision=precision, run=names)


def mean_cells(means: pd.Series, stds: pd.Series, metric: str) -> list[str]:
    """``.987±.002`` of each method; without a deviation for one seed; a dash for what is missing.

    The best ones are bold; which are, depends on the metric.
    """
    shown = [decimals(mean) for mean in means]
    best = decimals(getattr(means, Metrics.COLUMNS[metric].best)())
    cells = []
    for text, std in zip(shown, stds, strict=True):
        kind = Bold if text == best != "–" else str
        spread = f"±{decimals(std)}" if pd.notna(std) and text != "–" else ""
        cells.append(kind(text + spread))
    return cells


def score_table(table: pd.DataFrame) -> TextTable:
    """One experiment as people read it: a row per run, its metrics on each view, its training.

    Parameters
    ----------
    table : DataFrame
        Rows of `over_seeds` with the same data set, protocol and experiment.
    """
    first = table.drop_duplicates("run").set_index("run")
    counts = first[f"{next(iter(Metrics.COLUMNS))}_count"]
    columns = {"run": list(first.index), "n": [str(n) for n in counts]}
    for view, rows in table.groupby("view", sort=False):
        rows = rows.set_index("run").reindex(first.index)
        for metric in Metrics.COLUMNS:
            means, stds = rows[f"{metric}_mean"], rows[f"{metric}_std"]
            columns[f"{view} {metric}"] = mean_cells(means, stds, metric)
    for column in ("rows", "epochs", "updates"):
        columns[column] = [f"{v:,.0f}" if pd.notna(v) else "–" for v in first[column]]
    shared = [f"/{j:.0f}" if j > 1 else "" for j in first["jointly"]]
    columns["seconds"] = [
        f"{s:,.1f}{j}" if pd.notna(s) else "–"
        for s, j in zip(first["seconds"], shared, strict=True)
    ]
    rows = list(zip(*columns.values(), strict=True))
    return TextTable(list(columns), rows, caption(table))


def best_first(table: pd.DataFrame) -> pd.DataFrame:
    """One experiment with its methods in the order of their best run's AUC, a mean of views."""
    methods = table["run"].map(lambda run: natural(run)[0])
    of_runs = table.groupby([methods, table["run"].rename("name")])["AUC_mean"].mean()
    best = of_runs.groupby(level=0).max()
    return table.iloc[np.argsort(-methods.map(best).to_numpy(), kind="stable")]


def in_one_line(table: pd.DataFrame) -> str:
    """One experiment as its name, its size, and its best run."""
    best = table.sort_values("AUC_mean", na_position="first").iloc[-1]
    return (
        f"{best['data_set']}, {best['protocol']}, {best['experiment']}: "
        f"{table['run'].nunique()} runs; best {best['view']} AUC "
        f"{decimals(best['AUC_mean'])}, {best['run']}"
    )


def caption(table: pd.DataFrame) -> str:
    """What one experiment's numbers were measured on, in one line."""
    first = table.iloc[0]
    prevalence = [
        f"{view} {decimals(rows['prevalence'].mean(), 2)}"
        for view, rows in table.groupby("view", sort=False)
    ]
    shared = (table["jointly"] > 1).any()
    return (
        f"{first['data_set']}, protocol {first['protocol']}, {first['experiment']}: mean±standard "
        f"deviation over n seeds; prevalence (AP of a constant score): {', '.join(prevalence)}"
        + ("; seconds/4: one training served four budgets" if shared else "")
        + _additions(table)
        + _precisions(table)
    )


def _additions(table: pd.DataFrame) -> str:
    """Which methods the tables of the protocol's paper do not have."""
    protocol = protocol_of(table["protocol"].iloc[0])
    if protocol is None or not protocol.published:
        return ""
    methods = dict.fromkeys(natural(run.partition(" (")[0])[0] for run in table["run"])
    added = [m for m in methods if m not in {*protocol.published, *protocol.ablation}]
    return f"; not in the paper: {', '.join(added)}" if added else ""


def _precisions(table: pd.DataFrame) -> str:
    """Which runs were not trained in float32, where that is known."""
    if "precision" not in table:
        return ""
    told = table[~table["precision"].isin(("float32", "unknown"))]
    groups = told.drop_duplicates("run").groupby("precision")["run"]
    return "".join(f"; trained in {name}: {', '.join(runs)}" for name, runs in groups)


def tell_runs(runs: Sequence[StoredRun], splits: Splits, split: str) -> None:
    """Log the AUC of a method's runs on each view as soon as they are there."""
    experiment, classes = splits.experiment, splits.rows(split)[1]
    labels = {view: view_labels(experiment, view, classes) for view in experiment.views}
    labels = {view: (mask, y) for view, (mask, y) in labels.items() if 0 < y.sum() < len(y)}
    for row in (row for run in runs for row in run.rows(run.scores(split), split)):
        found = [
            f"{view} AUC {decimals(Metrics.area_under_roc(y, row.scores[mask]))}"
            for view, (mask, y) in labels.items()
        ]
        log.info("%s: %s", row.name, ", ".join(found) or "scored")


def show_experiment(
    tables: Mapping[str, pd.DataFrame], conditions: Conditions, folder: Path
) -> None:
    """Print the results of one experiment and one seed.

    Parameters
    ----------
    tables : mapping of view to DataFrame
        See `libs.experiments.result_files.metric_table`.
    conditions : Conditions
    folder : Path
        Where the result files lie.
    """
    if not tables:
        print(f"no view of {folder} holds both normal rows and anomalies: scores, but no metrics")
        return
    place = {"data_set": conditions.data["data_set"], "protocol": conditions.protocol}
    place |= {"experiment": folder.parent.name}
    rows = [table.reset_index().assign(**place, view=view) for view, table in tables.items()]
    table = over_seeds(pd.concat(rows, ignore_index=True))
    score_table(best_first(table)).show()
    print(f"ROC pictures in {folder}: {', '.join(f'{view}.roc.png' for view in tables)}\n")


def show_operating_points(view: str, table: pd.DataFrame, threshold: ThresholdRule) -> None:
    """Print what each run does at the threshold of one rule; see `libs.experiments.thresholds`."""
    values = table.xs(threshold.rule, level="rule")
    shown = values.map(decimals).reset_index()
    shown["threshold"] = [f"{t:.5g}" for t in values["threshold"]]
    TextTable.of(shown, f"{view}; threshold: {threshold.words}").show()
