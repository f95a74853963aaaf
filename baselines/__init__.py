"""Rival methods, one file each: ``from baselines import IsolationForest``.

Classes are imported on first use, so that importing the package costs nothing.
"""

from importlib import import_module

from libs.detectors.registry import COMPONENTS

_MODULES = {n: c.module for n, c in COMPONENTS.items() if c.module.startswith(f"{__name__}.")}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
