"""Renames folders of experiments, once named after all of their classes, to short names."""

import json
import logging
from pathlib import Path

from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import DESCRIPTION
from libs.experiments.study import Cell
from libs.utils import storage

log = logging.getLogger("a3")


def shorten_names(folder: Path) -> None:
    """Rename experiments in ``<models or results>/<data set>/<protocol>/<seed>``.

    A folder that describes its experiment gets the name that scripts look for. If that is taken,
    the folder keeps its name, with a warning.
    """
    for former in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
        name = _name(former)
        if name in (None, former.name):
            continue
        with storage.locked(folder), storage.explained(former):
            target = former.with_name(name)
            if target.exists():
                log.warning("%s is not renamed to %s, which already exists", former, name)
            elif former.is_dir():
                former.rename(target)
                log.info("%s is now called %s", former, name)


def _name(folder: Path) -> str | None:
    """Name of an experiment's folder, according to its results or models."""
    for path in [*folder.glob(f"*/{DESCRIPTION}"), *folder.glob(f"*/*/{storage.MANIFEST}")]:
        try:
            about = json.loads(path.read_text())
            conditions = Conditions.of(about.get("run", about))
            return Cell(conditions.experiment, p_contamination=conditions.p_contamination).folder
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # damaged, or not of this project
    return None
