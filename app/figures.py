"""Numbers of result folders: metrics over seeds, scores of a view, thresholds, next commands."""

import csv
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from app.catalog import ALL, Catalog, Missing, Place, Result, described, model_name
from app.queries import RunQuery, StudyQuery, ThresholdsQuery
from app.schemas import (
    About,
    Line,
    Listed,
    Metrics,
    Spread,
    Threshold,
)
from libs import Metrics as formulas
from libs.experiments.next_commands import default_threshold, next_commands
from libs.experiments.stored_runs import DESCRIPTION, TRAINED
from libs.utils.errors import UserError

RATES = (0.05, 0.01, 0.001)
"""Validation false-positive rates that are offered as thresholds."""
NUMBERS = ("AUC", "AP", "prevalence", *TRAINED, "jointly")


def listing(catalog: Catalog) -> list[Listed]:
    """Every result folder, with its problem if it is damaged."""
    listed = []
    for place, folder in catalog.results().items():
        line = vars(place) | {"changed": (folder / DESCRIPTION).stat().st_mtime}
        try:
            result = Result(place, folder, *described(folder))
        except UserError as error:
            nothing = {"views": {}, "base": place.experiment, "p_contamination": 0.0}
            listed.append(Listed(**line, **nothing, problem=str(error)))
            continue
        experiment, views = result.experiment, result.views
        normal = ", ".join(experiment.normal)
        line["views"] = {
            view: f"{normal} against {', '.join(classes)}"
            for view, classes in experiment.views.items()
            if view in views
        } or {ALL: "every row; without labels there are no metrics"}
        line["runs"] = _scored_runs(result) if views == [ALL] else []
        line |= {"base": experiment.name, "p_contamination": result.about["p_contamination"]}
        listed.append(Listed(**line))
    return listed


def _scored_runs(result: Result) -> list[str]:
    """Runs whose scores are there."""
    try:
        return [name for name in result.scores if name != "classes"]
    except UserError:
        return []


def metric_files(catalog: Catalog, query: StudyQuery) -> list[tuple[Place, Path]]:
    """Files with the metrics of a data set under a protocol, and what they are of.

    Raises
    ------
    Missing
        If there are no such results.
    """
    places = {
        place: folder
        for place, folder in catalog.results().items()
        if (place.data_set, place.part) == (query.data_set, query.part)
        and query.protocol in (None, place.protocol)
    }
    if not places:
        under = f" under {query.protocol}" if query.protocol else ""
        raise Missing(f"no {query.part} results of {query.data_set}{under}")
    return [(p, file) for p, f in places.items() for file in sorted(f.glob("*.metric.csv"))]


def metrics(files: list[tuple[Place, Path]]) -> Metrics:
    """Every number of these files, for each seed and over seeds."""
    lines, problems = [], []
    for place, path in files:
        try:
            lines += _lines(place, path)
        except (OSError, ValueError, KeyError, csv.Error) as error:
            problems.append(f"{path} is damaged ({error}); run its do_ script again")
    return Metrics(lines=lines, spread=over_seeds(lines), problems=problems)


def _lines(place: Place, path: Path) -> list[Line]:
    """Rows of a metric file."""
    with open(path, newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [
        Line(
            protocol=place.protocol,
            experiment=place.experiment,
            seed=place.seed,
            view=path.name.removesuffix(".metric.csv"),
            run=row["run"],
            precision=row.get("precision") or "",
            error=row["error"],
            **{name: float(row[name]) if row[name] else None for name in NUMBERS},
        )
        for row in found
    ]


def over_seeds(lines: list[Line]) -> list[Spread]:
    """Mean and sample standard deviation (None for one seed) of each run over its seeds.

    Runs of several precisions are never averaged. As `libs.experiments.averages.over_seeds`,
    which needs a second to import.
    """
    groups = defaultdict(list)
    for line in lines:
        groups[line.protocol, line.experiment, line.view, line.run].append(line)
    spread = []
    for group in groups.values():
        precise = _by_precision(group)
        spread += [_spread(few, name, len(precise) > 1) for name, few in precise.items()]
    return spread


def _by_precision(group: list[Line]) -> dict[str, list[Line]]:
    """Lines of a run by their precision; failed ones count with the first that is known."""
    first = next((line.precision for line in group if line.precision), "")
    found = defaultdict(list)
    for line in group:
        found[first if line.error else line.precision].append(line)
    return found


def _spread(group: list[Line], precision: str, several: bool) -> Spread:
    """Mean and deviation of lines that differ in their seeds only."""
    values = {name: _present(group, name) for name in NUMBERS}
    means = {name: mean(v) if v else None for name, v in values.items()}
    for name in ("AUC", "AP"):
        means[f"{name}_mean"] = means.pop(name)
        means[f"{name}_std"] = stdev(values[name]) if len(values[name]) > 1 else None
    first = group[0]
    return Spread(
        protocol=first.protocol,
        experiment=first.experiment,
        view=first.view,
        run=first.run,
        label=f"{first.run} ({precision or 'unknown precision'})" if several else first.run,
        precision=precision,
        seeds=sorted(line.seed for line in group if line.AUC is not None),
        errors=sorted({line.error for line in group if line.error}),
        **means,
    )


def _present(lines: list[Line], name: str) -> list[float]:
    """Values that were measured."""
    return [value for line in lines if (value := getattr(line, name)) is not None]


def packed_scores(result: Result, view: str, run: str, limit: int) -> tuple[bytes, dict[str, str]]:
    """Scores of a view for the browser's own counting.

    Returns
    -------
    bytes
        n float32 scores, highest first, then n bytes, 1 for an anomaly. Little-endian.
    dict
        Headers: rows of each label in the view. Of more than ``limit`` rows the bytes hold an even
        choice of the sorted scores of each label.
    """
    numbers, y = result.view(view)
    scores = result.run(run)[numbers].astype("<f4")
    kept = [np.sort(scores[y == label]) for label in (0, 1)]
    rows = [len(part) for part in kept]
    if sum(rows) > limit:
        kept = [_evenly(part, max(1, limit * len(part) // sum(rows))) for part in kept]
    together = np.concatenate(kept)
    labels = np.repeat([0, 1], [len(part) for part in kept]).astype(np.uint8)
    order = np.argsort(-together, kind="stable")
    headers = {"X-Normal-Rows": str(rows[0]), "X-Anomalous-Rows": str(rows[1])}
    return together[order].tobytes() + labels[order].tobytes(), headers


def _evenly(ordered: np.ndarray, n: int) -> np.ndarray:
    """``n`` of the sorted values, both ends among them."""
    return ordered[np.linspace(0, len(ordered) - 1, min(n, len(ordered))).round().astype(int)]


def thresholds(catalog: Catalog, result: Result, query: ThresholdsQuery) -> list[Threshold]:
    """Thresholds from validation rows: of the model if it is at hand, and of the do_ script."""
    result.view(query.view), result.run(query.run)  # are there
    found = []
    model = catalog.models().get(model_name(result.place, query.run))
    calibration = model.calibration if model else np.empty(0)
    for rate in RATES if query.rate is None else (query.rate,):
        value = formulas.threshold_at(calibration, rate) if len(calibration) else math.nan
        if math.isfinite(value):
            words = f"{100 * rate:g} % of {len(calibration):,} normal validation rows are above"
            found.append(Threshold(threshold=value, name=f"FPR {100 * rate:g} %", words=words))
    path = result.folder / f"{query.view}.thresholds.csv"
    if query.rate is None and path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = float(row["threshold"] or "nan")
                if row["run"] == query.run and math.isfinite(value):
                    words = f"the do_ script's threshold by {row['rule']} on validation rows"
                    found.append(Threshold(threshold=value, name=row["rule"], words=words))
    return found


def about_run(catalog: Catalog, result: Result, query: RunQuery) -> About:
    """What a run's model says: its losses, whether it explains scores, what to run next."""
    result.view(query.view), result.run(query.run)  # are there
    model = catalog.models().get(model_name(result.place, query.run))
    if model is None:
        why = f"To explain its scores, the model of {query.run} must lie in {catalog.models_root}."
        return About(unexplained=why, losses=[], commands=[])
    explained = model.manifest.get("explained_by", "") is not None
    return About(
        unexplained="" if explained else f"There is no explanation of {query.run}'s scores.",
        losses=model.manifest.get("training", {}).get("losses", []),
        commands=next_commands(
            model.folder,
            "NEW.csv" if result.about["data"].get("table") else None,
            default_threshold(len(model.calibration)),
            bool(result.experiment.views),
            explained,
        ),
    )
