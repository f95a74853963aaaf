"""Why rows of the results have their scores: the contributions that `Detector.explain` finds."""

import re
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Catalog, Missing, Model, Result, model_name
from app.queries import ReasonsQuery, RowQuery, RunQuery
from app.rows import RowSource
from app.schemas import Contribution, Explanation
from app.scoring import Scoring
from app.shown import Shown
from libs.datasets.splits.experiment import Experiment
from libs.experiments.next_commands import REASONS

if TYPE_CHECKING:
    from libs.detectors.attribution import Explanation as Found
    from libs.detectors.detector import Detector

APART = 1e-3
"""Relative difference above which two scores are not of the same model."""
ACTIVATIONS = {"re_lu": "ReLU", "leaky_re_lu": "leaky ReLU", "activation": "activation"}
"""Words for Keras's own names of layers."""


def explain(
    catalog: Catalog, source: RowSource, scoring: Scoring, result: Result, query: RowQuery
) -> Explanation:
    """Explain the score that a run gave to a row of a result folder.

    Raises
    ------
    Missing
        If the model or the row is not there.
    UserError
        If the raw files are not at hand, or scores of the method cannot be explained.
    """
    model, shown = _model_and_rows(catalog, source, result, query, [query.row])
    row = _scaled(source, model, shown, [query.row])
    with scoring.working:
        detector = _with_reference(scoring.detector(model), source, model)
        found = detector.explain(row, model.budget)
        by_part = detector.explain_parts(row, model.budget) if detector.parts else None
    return Explanation(
        words=_words(found, float(result.run(query.run)[query.row])),
        contributions=_of_columns(found, shown, 0, query.row),
        image=shown.image,
        parts=detector.parts or "",
        layers=_of_parts(by_part, detector.parts) if by_part else [],
    )


def reasons(
    catalog: Catalog, source: RowSource, scoring: Scoring, result: Result, query: ReasonsQuery
) -> dict[int, list[Contribution]]:
    """The columns that raised the scores of several rows most; see `explain`."""
    rows = [int(row) for row in query.rows.split(",") if row][: scoring.settings.page]
    model, shown = _model_and_rows(catalog, source, result, query, rows)
    if not rows or shown.image:
        return {}
    scaled = _scaled(source, model, shown, rows)
    with scoring.working:
        detector = _with_reference(scoring.detector(model), source, model)
        found = detector.explain(scaled, model.budget)
    return {row: strongest(_of_columns(found, shown, i, row)) for i, row in enumerate(rows)}


def strongest(contributions: list[Contribution]) -> list[Contribution]:
    """Those that raise a score most, the strongest first."""
    raising = [part for part in contributions if part.contribution > 0]
    return sorted(raising, key=lambda part: -part.contribution)[:REASONS]


def _model_and_rows(
    catalog: Catalog, source: RowSource, result: Result, query: RunQuery, rows: list[int]
) -> tuple[Model, Shown]:
    """The model of a run, and the rows of its results."""
    model = catalog.model(model_name(result.place, query.run))
    shown = source.shown(result)
    gone = sorted(set(rows) - set(result.view(query.view)[0].tolist()))
    if gone:
        raise Missing(f"no row {gone[0]} in the view {query.view}")
    return model, shown


def _scaled(source: RowSource, model: Model, shown: Shown, rows: list[int]) -> np.ndarray:
    """Rows as the model takes them."""
    about = model.manifest["run"]
    scaling = source.handler(about).scaling(
        Experiment.of(about["experiment"]), about["p_contamination"]
    )
    return shown.raw.scale(*scaling)[np.array(rows)]


def _with_reference(detector: "Detector", source: RowSource, model: Model) -> "Detector":
    """A detector with reference rows, drawn again if its training kept none."""
    if detector.lacks_reference:
        about = model.manifest["run"]
        handler, experiment = source.handler(about), Experiment.of(about["experiment"])
        splits = handler.split(experiment, p_contamination=about["p_contamination"])
        detector.keep_reference(splits.x_train[splits.y_train == 0], handler.seed)
    return detector


def _words(found: "Found", kept: float) -> str:
    """What the contributions add up to, and whether the model still gives the kept score."""
    score, base = float(found.scores[0]), float(found.base[0])
    words = f"{found.method.capitalize()}: contributions add up to {score - base:.4g}, "
    if found.reference is None:
        words += "the score."
    else:
        words += (
            f"from the score {base:.4g} of the nearest of the model's typical rows to "
            f"{score:.4g}, this row's."
        )
    if found.missed is not None:
        words += f" Gradients missed {float(found.missed[0]):.4g} of its changes on the way"
        doubt = "; that is too much: do not rely on the contributions."
        words += doubt if found.doubtful[0] else ", shared out among the features."
    if abs(score - kept) > APART * max(abs(kept), APART):
        words += (
            f" The model now gives {score:.6g} where the results say {kept:.6g}: it was trained "
            "anew. Run its do_ script again."
        )
    return words


def _of_columns(found: "Found", shown: Shown, i: int, row: int) -> list[Contribution]:
    """Contributions to the i-th explained score: of each pixel or, added up, of each column."""
    parts = found.contributions[i].ravel()
    values = shown.values(np.array([row]), shown.features)[0]
    if shown.image:
        return [
            Contribution(name=str(k), value=values[k], contribution=float(part))
            for k, part in enumerate(parts)
        ]
    return [
        Contribution(
            name=feature.name, value=value, contribution=float(parts[list(feature.columns)].sum())
        )
        for feature, value in zip(shown.features, values, strict=True)
    ]


def _of_parts(found: "Found", kind: str) -> list[Contribution]:
    """Contributions of the layers or readers of a detector; layers are numbered."""
    names = found.names
    if kind == "layers":
        names = [f"hidden layer {i} of {len(names)} ({_plain(n)})" for i, n in enumerate(names, 1)]
    return [
        Contribution(name=name, value=None, contribution=float(share))
        for name, share in zip(names, found.contributions[0], strict=True)
    ]


def _plain(name: str) -> str:
    """A layer's own name, or a word for the one that Keras gave it."""
    return ACTIVATIONS.get(re.sub(r"_\d+$", "", name), name)
