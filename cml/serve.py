"""Cloudera Machine Learning's model endpoint: `predict`, the same as ``POST /api/predict``.

``A3_MODEL`` names the model for requests that name none, ``A3_MODELS`` another folder than
``models``. It runs in the project's root.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _parts() -> tuple[Any, Any]:
    """The catalogue of models, and what scores with them."""
    sys.path.insert(0, os.getcwd())
    from app.catalog import Catalog
    from app.rows import RowSource
    from app.scoring import Scoring
    from app.settings import Settings

    settings = Settings(models=Path(os.environ.get("A3_MODELS", "models")))
    return (
        Catalog(settings.results, settings.models),
        Scoring(settings, RowSource(settings)),
    )


def predict(args: Any) -> dict[str, Any]:
    """Score records; see `app.predict.predict`.

    Returns
    -------
    dict
        What `app.predict.predict` gives, or ``{"error": message}``.
    """
    catalog, scoring = _parts()
    from app.predict import predict as score
    from libs.utils.errors import UserError

    model = os.environ.get("A3_MODEL")
    if model and isinstance(args, dict):
        args = {"model": model} | args
    try:
        return score(args, catalog, scoring)
    except UserError as error:
        return {"error": str(error)}
