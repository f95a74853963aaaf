"""Baselines, one file each: ``from baselines import IsolationForest``.

Classes are imported when first named, so that importing the package costs nothing.
"""

from importlib import import_module

_MODULES = {
    "Autoencoder": "autoencoder",
    "BiGAN": "bigan",
    "Checkpoints": "checkpoints",
    "DAGMM": "dagmm",
    "DeepSAD": "deep_svdd",
    "DeepSVDD": "deep_svdd",
    "DevNet": "devnet",
    "FAnoGAN": "fanogan",
    "GANomaly": "ganomaly",
    "GradCon": "gradcon",
    "IsolationForest": "isolation_forest",
    "MExCVAE": "mex_cvae",
    "MeanDistance": "mean_distance",
    "OneClassSVM": "one_class_svm",
    "PCA": "pca",
    "REPEN": "repen",
    "Seq2Seq": "seq2seq",
    "VAE": "vae",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
