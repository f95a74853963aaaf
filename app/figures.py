"""Numbers of result folders: metrics over seeds, scores of a view, thresholds."""

import csv
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from app.catalog import Catalog, Missing, Place, Result, described, model_name
from app.schemas import Line, Listed, Metrics, Spread, StudyQuery, Threshold
from libs import Metrics as formulas
from libs.experiments.stored_runs import DESCRIPTION, TRAINED
from libs.utils.errors import UserError

RATES = (0.05, 0.01, 0.001)
"""Validation false-positive rates that are offered as thresholds."""
NUMBERS = ("AUC", "AP", "prevalence", *TRAINED, "jointly")


def listing(catalog: Catalog) -> list[Listed]:
    """Every result folder, with what is wrong with it."""
    listed = []
    for place, folder in catalog.results().items():
        line = vars(place) | {"changed": (folder / DESCRIPTION).stat().st_mtime}
        try:
            about, experiment = described(folder)
        except UserError as error:
            nothing = {"views": {}, "base": place.experiment, "p_contamination": 0.0}
            listed.append(Listed(**line, **nothing, problem=str(error)))
            continue
        normal = ", ".join(experiment.normal)
        measured = {p.name.removesuffix(".metric.csv") for p in folder.glob("*.metric.csv")}
        line["views"] = {
            view: f"{normal} against {', '.join(classes)}"
            for view, classes in experiment.views.items()
            if view in measured
        }
        line |= {"base": experiment.name, "p_contamination": about["p_contamination"]}
        listed.append(Listed(**line))
    return listed


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
        if (place.data_set, place.protocol, place.part)
        == (query.data_set, query.protocol, query.part)
    }
    if not places:
        raise Missing(f"no {query.part} results of {query.data_set} under {query.protocol}")
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
    """Rows of one metric file."""
    with open(path, newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [
        Line(
            experiment=place.experiment,
            seed=place.seed,
            view=path.name.removesuffix(".metric.csv"),
            run=row["run"],
            error=row["error"],
            **{name: float(row[name]) if row[name] else None for name in NUMBERS},
        )
        for row in found
    ]


def over_seeds(lines: list[Line]) -> list[Spread]:
    """Mean and sample standard deviation (None for one seed) of each run over its seeds.

    As `libs.experiments.result_tables.over_seeds`, which needs a second to import.
    """
    groups = defaultdict(list)
    for line in lines:
        groups[line.experiment, line.view, line.run].append(line)
    spread = []
    for (experiment, view, run), group in groups.items():
        values = {name: _present(group, name) for name in NUMBERS}
        means = {name: mean(v) if v else None for name, v in values.items()}
        for name in ("AUC", "AP"):
            means[f"{name}_mean"] = means.pop(name)
            means[f"{name}_std"] = stdev(values[name]) if len(values[name]) > 1 else None
        spread.append(
            Spread(
                experiment=experiment,
                view=view,
                run=run,
                seeds=sorted(line.seed for line in group if line.AUC is not None),
                errors=sorted({line.error for line in group if line.error}),
                **means,
            )
        )
    return spread


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


def thresholds(catalog: Catalog, result: Result, view: str, run: str) -> list[Threshold]:
    """Thresholds that validation rows gave: from the model if it is at hand, else from files."""
    result.view(view), result.run(run)  # are there
    found = []
    model = catalog.models().get(model_name(result.place, run))
    calibration = model.calibration if model else np.empty(0)
    for rate in RATES:
        value = formulas.threshold_at(calibration, rate) if len(calibration) else math.nan
        if math.isfinite(value):
            words = f"{100 * rate:g} % of {len(calibration):,} normal validation rows are above"
            found.append(Threshold(threshold=value, name=f"FPR {100 * rate:g} %", words=words))
    path = result.folder / f"{view}.thresholds.csv"
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                value = float(row["threshold"] or "nan")
                if row["run"] == run and math.isfinite(value):
                    words = f"the do_ script's threshold by {row['rule']} on validation rows"
                    found.append(Threshold(threshold=value, name=row["rule"], words=words))
    return found
