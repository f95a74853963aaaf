"""Classes that settings and model folders may name, and their settings in JSON."""

import hashlib
import importlib
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator

from libs.utils.errors import UserError

COMPONENTS = {
    "A3": "libs.A3",
    "R2AD2": "libs.R2AD2",
    "R2AD2Sketch": "libs.R2AD2Sketch",
    "AdversarialClustering": "libs.targets.clustering",
    "ARGUE": "libs.ARGUE",
    "Autoencoder": "baselines",
    "VAE": "baselines",
    "DAGMM": "baselines",
    "DevNet": "baselines",
    "Checkpoints": "baselines",
    "DeepSAD": "baselines",
    "DeepSVDD": "baselines",
    "GradCon": "baselines",
    "IsolationForest": "baselines",
    "BiGAN": "baselines",
    "MeanDistance": "baselines",
    "OneClassSVM": "baselines",
    "PCA": "baselines",
    "Seq2Seq": "baselines",
    "FAnoGAN": "baselines",
    "GANomaly": "baselines",
    "KMeansClustering": "libs.targets.clustering",
    "MExCVAE": "baselines",
    "MixtureClustering": "libs.targets.clustering",
    "MultiHeadAutoencoder": "libs.targets.multi_head_autoencoder",
    "REPEN": "baselines",
    "GaussianNoise": "libs.architecture.anomaly",
    "UniformNoise": "libs.architecture.anomaly",
}
"""Where each class lives that a model folder may name. Nothing else is ever loaded."""


def component(name: str) -> type:
    """The class called ``name``, imported when first needed."""
    if name not in COMPONENTS:
        raise UserError(f"unknown component {name!r}; expected one of {', '.join(COMPONENTS)}")
    return getattr(importlib.import_module(COMPONENTS[name]), name)


def keys_of(value: BaseEstimator, name: str) -> list[str]:
    """Keys of `set_params` under which a component and its parts have a setting of this name."""
    return [key for key in value.get_params(deep=True) if key.rpartition("__")[2] == name]


def describe(value: Any) -> Any:
    """Describe a setting in JSON: numbers as they are, components by class and settings."""
    if isinstance(value, BaseEstimator):
        settings = value.get_params(deep=False).items()
        return {"class": type(value).__name__, "settings": {k: describe(v) for k, v in settings}}
    if isinstance(value, keras.Model):
        weights = b"".join(np.ascontiguousarray(w).tobytes() for w in value.get_weights())
        return {"keras": value.name, "sha256": hashlib.sha256(weights).hexdigest()}
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    return value


def rebuild(description: Any) -> Any:
    """Undo `describe`; a Keras model becomes None, for its owner saves it by itself."""
    if isinstance(description, list):
        return tuple(rebuild(v) for v in description)
    if isinstance(description, dict) and "class" in description:
        settings = {k: rebuild(v) for k, v in description["settings"].items()}
        return component(description["class"])(**settings)
    return None if isinstance(description, dict) else description
