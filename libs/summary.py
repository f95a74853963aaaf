"""Result files over seeds: mean, standard deviation, count, and tables with the best marked."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from libs.errors import UserError
from libs.operating import RULES
from libs.results import natural
from libs.runs import DESCRIPTION
from libs.tables import decimals, show, show_plain

GROUP = ["data_set", "protocol", "experiment", "view", "run"]
METRICS = ("AUC", "AP")
VIEWS = ("known", "transfer", "unknown")


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


def show_experiment(tables: Mapping[str, pd.DataFrame], about: dict, folder: Path) -> None:
    """Print the results of one experiment and one seed.

    Parameters
    ----------
    tables : mapping of view to DataFrame
        See `libs.results.metric_table`.
    about : dict
        What the numbers were measured on.
    folder : Path
        Where the result files lie.
    """
    if not tables:
        print(f"no view of {folder} holds both normal rows and anomalies: scores, but no metrics")
        return
    place = {"data_set": about["data"]["data_set"], "protocol": about["protocol"]}
    place |= {"experiment": folder.parent.name}
    rows = [table.reset_index().assign(**place, view=view) for view, table in tables.items()]
    table = over_seeds(pd.concat(rows, ignore_index=True))
    show(pivot(table, "[bold]{}[/]".format), caption(table))
    print(f"ROC pictures in {folder}: {', '.join(f'{view}.roc.png' for view in tables)}\n")


def show_operating_points(view: str, table: pd.DataFrame, *, rule: str, rate: float) -> None:
    """Print what each run does at the threshold of one rule; see `libs.operating`."""
    chosen = table.xs(rule, level="rule").map(decimals).reset_index()
    chosen["threshold"] = [f"{t:.5g}" for t in table.xs(rule, level="rule")["threshold"]]
    show_plain(chosen, f"{view}; threshold: {RULES[rule].format(rate=rate)}")


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
