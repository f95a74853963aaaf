"""Results over seeds: mean, standard deviation, count, as tables with the best marked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from libs.experiments.result_files import natural
from libs.experiments.settings import Conditions
from libs.experiments.thresholds import ThresholdRule
from libs.plotting.tables import decimals, show, show_plain

GROUP = ["data_set", "protocol", "experiment", "view", "run"]
METRICS = ("AUC", "AP")
VIEWS = ("known", "transfer", "unknown")


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, sample standard deviation (NaN for one seed) and count of each run over its seeds.

    Failed runs count as missing; epochs, updates and seconds are means.
    """
    groups = rows.groupby(GROUP, sort=False)
    metrics = [*METRICS, *(c for c in rows if "@" in c)]  # F1@0.01 and so on
    table = groups[metrics].agg(["mean", "std", "count"])
    table.columns = [f"{metric}_{what}" for metric, what in table.columns]
    trained = ["prevalence", "rows", "epochs", "updates", "seconds", "jointly"]
    table = table.join(groups[trained].mean()).reset_index()
    table["_run"] = table["run"].map(natural)
    table["_view"] = table["view"].map(VIEWS.index)
    order = ["data_set", "protocol", "experiment", "_view", "_run"]
    return table.sort_values(order, ignore_index=True).drop(columns=["_run", "_view"])


def cell(row: pd.Series, metric: str) -> str:
    """``.987±.002``; without a deviation for one seed; a dash where nothing was measured."""
    if not row[f"{metric}_count"]:
        return "–"
    mean, std = row[f"{metric}_mean"], row[f"{metric}_std"]
    return decimals(mean) + (f"±{decimals(std)}" if pd.notna(std) else "")


def pivot(table: pd.DataFrame, mark: Callable[[str], str]) -> pd.DataFrame:
    """One experiment as people read it: a row per run, AUC and AP per view, the best marked.

    Parameters
    ----------
    table : DataFrame
        Rows of `over_seeds` with the same data set, protocol and experiment.
    mark : callable
        Marks a cell as the best of its column.
    """
    columns = {}
    for view, rows in table.groupby("view", sort=False):
        rows = rows.set_index("run")
        for metric in METRICS:
            best = decimals(rows[f"{metric}_mean"].max())
            columns[f"{view} {metric}"] = {
                run: mark(cell(row, metric))
                if row[f"{metric}_count"] and decimals(row[f"{metric}_mean"]) == best
                else cell(row, metric)
                for run, row in rows.iterrows()
            }
    shown = pd.DataFrame(columns)
    first = table.drop_duplicates("run").set_index("run").loc[shown.index]
    shown.insert(0, "seeds", first["AUC_count"])
    for column in ("rows", "epochs", "updates"):
        shown[column] = [f"{v:,.0f}" if pd.notna(v) else "–" for v in first[column]]
    shared = [f"/{j:.0f}" if j > 1 else "" for j in first["jointly"]]
    shown["seconds"] = [
        f"{s:,.1f}{j}" if pd.notna(s) else "–"
        for s, j in zip(first["seconds"], shared, strict=True)
    ]
    return shown.rename_axis("run").reset_index()


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
    )


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
    show(pivot(table, "[bold]{}[/]".format), caption(table))
    print(f"ROC pictures in {folder}: {', '.join(f'{view}.roc.png' for view in tables)}\n")


def show_operating_points(view: str, table: pd.DataFrame, threshold: ThresholdRule) -> None:
    """Print what each run does at the threshold of one rule; see `libs.experiments.thresholds`."""
    values = table.xs(threshold.rule, level="rule")
    shown = values.map(decimals).reset_index()
    shown["threshold"] = [f"{t:.5g}" for t in values["threshold"]]
    show_plain(shown, f"{view}; threshold: {threshold.words}")
