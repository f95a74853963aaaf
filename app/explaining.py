"""Why a row of the results has its score: what `Detector.explain` finds, in words and figures."""

from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Catalog, Missing, Result, model_name
from app.rows import RowSource, Shown
from app.schemas import Contribution, Explanation, RowQuery
from app.scoring import Scoring
from libs.datasets.splits.experiment import Experiment

if TYPE_CHECKING:
    from libs.detectors.attribution import Explanation as Found

APART = 1e-3
"""Scores that differ by more, in relation, are not of the same model."""


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
    if query.row not in result.view(query.view)[0]:
        raise Missing(f"no row {query.row} in the view {query.view}")
    model = catalog.model(model_name(result.place, query.run))
    shown = source.shown(result)
    about = model.manifest["run"]
    handler, experiment = source.handler(about), Experiment.of(about["experiment"])
    pollution = about["p_contamination"]
    row = shown.raw.scale(*handler.scaling(experiment, pollution))[np.array([query.row])]
    with scoring.working:
        detector = scoring.detector(model)
        if detector.lacks_reference:  # trained before models kept such rows, or without
            splits = handler.split(experiment, p_contamination=pollution)
            detector.keep_reference(splits.x_train[splits.y_train == 0], handler.seed)
        found = detector.explain(row, model.budget)
        by_layer = detector.explain_parts(row, model.budget) if detector.parts else None
    return Explanation(
        words=_words(found, float(result.run(query.run)[query.row])),
        contributions=_of_features(found, shown, query.row),
        image=shown.image,
        layers=[
            Contribution(name=name, value=None, contribution=float(share))
            for name, share in zip(by_layer.names, by_layer.contributions[0], strict=True)
        ]
        if by_layer
        else [],
    )


def _words(found: "Found", kept: float) -> str:
    """What the contributions are, and whether the model still gives the score of the results."""
    score, base = float(found.scores[0]), float(found.base[0])
    words = f"{found.method.capitalize()}: contributions add up to {score - base:.4g}, "
    if found.reference is None:
        words += "the score."
    else:
        words += (
            f"from the score {base:.4g} of the nearest of the model's normal reference rows to "
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


def _of_features(found: "Found", shown: Shown, row: int) -> list[Contribution]:
    """A contribution for each feature, one-hot columns added up; for images for each pixel."""
    parts = found.contributions[0].ravel()
    values = shown.values(np.array([row]))[0]
    if shown.image:
        return [
            Contribution(name=str(i), value=values[i], contribution=float(part))
            for i, part in enumerate(parts)
        ]
    return [
        Contribution(
            name=feature.name, value=value, contribution=float(parts[list(feature.columns)].sum())
        )
        for feature, value in zip(shown.features, values, strict=True)
    ]
