"""Finding saved models, at once, and loading them; TensorFlow starts for those that need it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from libs.detectors.registry import COMPONENTS
from libs.utils.errors import UserError
from libs.utils.runtime import start_tensorflow
from libs.utils.storage import MANIFEST, nearest_models, read_manifest

if TYPE_CHECKING:
    from libs.detectors.detector import Detector

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


def load_model(folder: Path) -> "Detector":
    """The detector in the folder of a run; see `libs.detectors.detector.Detector.load`."""
    about = read_manifest(folder).get("detector")
    kind = COMPONENTS.get(str(about.get("class"))) if isinstance(about, dict) else None
    if kind is None or kind.tensorflow:
        start_tensorflow()
    from libs.detectors.detector import Detector

    return Detector.load(folder)


def _list_models(models: list[Path]) -> str:
    named = ", ".join(os.path.relpath(model) for model in models[:SHOWN])
    return f": {named}" if models else "; there is none near it"
