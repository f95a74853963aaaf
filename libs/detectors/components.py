"""Components of detectors, by name, and their settings in JSON."""

import hashlib
import importlib
import sys
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from libs.detectors.registry import COMPONENTS
from libs.utils.errors import UserError


def component(name: str) -> type:
    """The class called ``name``, imported when first needed."""
    if name not in COMPONENTS:
        raise UserError(f"unknown component {name!r}; expected one of {', '.join(COMPONENTS)}")
    return getattr(importlib.import_module(COMPONENTS[name].module), name)


def keys_of(value: BaseEstimator, name: str) -> list[str]:
    """Keys of `set_params` under which a component and its parts have a setting of this name."""
    return [key for key in value.get_params(deep=True) if key.rpartition("__")[2] == name]


def describe(value: Any) -> Any:
    """Describe a setting in JSON: numbers as they are, components by class and settings."""
    if isinstance(value, BaseEstimator):
        settings = value.get_params(deep=False).items()
        return {"class": type(value).__name__, "settings": {k: describe(v) for k, v in settings}}
    keras = sys.modules.get("keras")  # where it was never imported, there is no model
    if keras and isinstance(value, keras.Model):
        weights = b"".join(np.ascontiguousarray(w).tobytes() for w in value.get_weights())
        return {"keras": value.name, "sha256": hashlib.sha256(weights).hexdigest()}
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    return value


def with_defaults(description: Any) -> Any:
    """A description by an earlier version, with the defaults of settings that came later."""
    if isinstance(description, list):
        return [with_defaults(v) for v in description]
    if not isinstance(description, dict) or description.get("class") not in COMPONENTS:
        return description
    later = describe(component(description["class"])())["settings"]
    found = {key: with_defaults(v) for key, v in description["settings"].items()}
    return description | {"settings": later | found}


def rebuild(description: Any) -> Any:
    """Undo `describe`; a Keras model becomes None, for its owner saves it by itself."""
    if isinstance(description, list):
        return tuple(rebuild(v) for v in description)
    if isinstance(description, dict) and "class" in description:
        settings = {k: rebuild(v) for k, v in description["settings"].items()}
        return component(description["class"])(**settings)
    return None if isinstance(description, dict) else description
