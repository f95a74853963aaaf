"""Finding the folder of a model by name. Imports no TensorFlow, so typos are reported at once."""

import os
from pathlib import Path

from libs.utils.errors import UserError
from libs.utils.storage import MANIFEST, nearest_models

SHOWN = 6
"""Upper bound on the models that a message names."""


def run_folder(folder: str | Path) -> Path:
    """The folder of a run: itself, or the only one in a method's folder.

    Raises
    ------
    UserError
        If it is not such a folder; says what it is and suggests models.
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob(f"[!.]*/{MANIFEST}"))
    if len(inside) == 1:
        return inside[0]
    near = nearest_models(folder.absolute(), SHOWN)
    if not folder.exists():
        raise UserError(
            f"{folder} is not there: expected the folder of a model{_list_models(near)}"
        )
    below = inside or [path for path in near if path.is_relative_to(folder.absolute())]
    if below:
        raise UserError(f"{folder} holds several models; name one of them{_list_models(below)}")
    raise UserError(
        f"{folder} is not a model folder: expected one that holds a {MANIFEST}, such as "
        "models/<data set>/<protocol>/<seed>/<experiment>/<method>"
    )


def _list_models(models: list[Path]) -> str:
    named = ", ".join(os.path.relpath(model) for model in models[:SHOWN])
    return f": {named}" if models else "; there is none near it"
