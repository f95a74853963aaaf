"""Baselines, one file each: ``from baselines import IsolationForest``.

Classes are imported when first named, so that importing the package costs nothing.
"""

from importlib import import_module

_MODULES = {
    "Autoencoder": "autoencoder",
    "DAGMM": "dagmm",
    "DevNet": "devnet",
    "FAnoGAN": "fanogan",
    "GANomaly": "ganomaly",
    "IsolationForest": "isolation_forest",
    "MExCVAE": "mex_cvae",
    "REPEN": "repen",
    "VAE": "vae",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
