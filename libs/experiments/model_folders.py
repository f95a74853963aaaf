"""Which folder is meant by the name of a model. Imports no TensorFlow: typos are told at once."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from libs.utils.errors import UserError
from libs.utils.storage import MANIFEST

SHOWN = 6
"""Models that a message names."""
LOOKED_AT = 20_000
"""Folders below which models are looked for."""


def run_folder(folder: str | Path) -> Path:
    """The folder of a run: itself, or the only one in a method's folder.

    Raises
    ------
    UserError
        If it is none; says what it is, and names the models that may be meant.
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob(f"[!.]*/{MANIFEST}"))
    if len(inside) == 1:
        return inside[0]
    if not folder.exists():
        parent = next(path for path in [*folder.absolute().parents] if path.exists())
        names = {str(path): path for path in _models_below(parent)}
        wanted = str(folder.absolute())
        near = difflib.get_close_matches(wanted, names, SHOWN, cutoff=0) if names else []
        raise UserError(f"{folder} is not there: expected the folder of a model{_told(near)}")
    below = inside or sorted(_models_below(folder))
    if below:
        raise UserError(f"{folder} holds several models; name one of them{_told(below)}")
    raise UserError(
        f"{folder} is not a model folder: expected one that holds a {MANIFEST}, such as "
        "models/<data set>/<protocol>/<seed>/<experiment>/<method>"
    )


def _models_below(folder: Path) -> Iterator[Path]:
    """Folders with a manifest, but those within another model."""
    walk = os.walk(folder)
    for _, (place, folders, files) in zip(range(LOOKED_AT), walk, strict=False):
        folders[:] = [] if MANIFEST in files else [f for f in folders if not f.startswith(".")]
        if MANIFEST in files:
            yield Path(place)


def _told(models: list) -> str:
    """``: A, B, C, … (9)``."""
    named = ", ".join(os.path.relpath(model) for model in models[:SHOWN])
    more = f", … ({len(models)})" if len(models) > SHOWN else ""
    return f": {named}{more}" if models else "; there is none near it"
