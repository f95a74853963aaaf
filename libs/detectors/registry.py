"""The registry of methods and of what they build on: a line each. Imports none of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Component:
    """A class that settings and model folders may name.

    Attributes
    ----------
    module : str
        Where the class lives.
    small : dict
        Settings with which the contract's tests train it on toy rows, as
        `libs.detectors.components.rebuild` reads them; default: its own.
    tensorflow : bool
        Whether it needs TensorFlow, which takes seconds to start.
    """

    module: str
    small: Mapping[str, Any] = field(default_factory=dict)
    tensorflow: bool = True


def described(name: str, **settings: Any) -> dict[str, Any]:
    """A component among the settings of another one, as `libs.detectors.components.describe`."""
    return {"class": name, "settings": settings}


SCHEDULE = {"epochs": 40, "batch_size": 32, "learning_rate": 1e-3}
SHORTER = SCHEDULE | {"epochs": 20}
CODE = described("Autoencoder", dims=(16, 8), **SCHEDULE)
BRIEF = {"dims": (8,), "copies": 2, "epochs": 20, "batch_size": 32}
CHECKPOINTS = described("Checkpoints", **BRIEF)
GROUPS = described("AdversarialClustering", dims=(8,), clusters=2, **SCHEDULE | {"epochs": 5})
EXPERTS = described("MultiHeadAutoencoder", dims=(16, 8), clustering=GROUPS, **SCHEDULE)

COMPONENTS = {
    "A3": Component("libs.A3", dict(target=CODE, alarm_dims=(60, 30), **SCHEDULE)),
    "R2AD2": Component(
        "libs.R2AD2",
        dict(
            target=CHECKPOINTS,
            alarm_dims=(16, 8),
            steps=2,
            dropout=0.1,
            epochs=50,
            batch_size=32,
            learning_rate=5e-3,
        ),
    ),
    "R2AD2Sketch": Component(
        "libs.R2AD2Sketch",
        dict(target=CHECKPOINTS, size=16, steps=2, **(SCHEDULE | {"epochs": 15})),
    ),
    "ARGUE": Component(
        "libs.ARGUE",
        dict(
            target=EXPERTS,
            alarm_dims=(60,),
            dropout=0.0,
            epochs=60,
            batch_size=32,
            learning_rate=5e-3,
        ),
    ),
    "Ensemble": Component("libs.Ensemble", dict(noise_trees=50, known_trees=(50, 50)), False),
    "Autoencoder": Component("baselines.autoencoder", dict(dims=(16, 8), **SCHEDULE)),
    "BiGAN": Component(
        "baselines.bigan", dict(dims=(32,), epochs=20, batch_size=32, learning_rate=1e-3)
    ),
    "Checkpoints": Component("libs.targets.checkpoints", BRIEF),
    "DAGMM": Component(
        "baselines.dagmm", dict(dims=(16, 4), epochs=100, batch_size=64, learning_rate=3e-3)
    ),
    "DeepSAD": Component("baselines.deep_svdd", dict(dims=(16, 8), **SCHEDULE)),
    "DeepSVDD": Component("baselines.deep_svdd", dict(dims=(16, 8), **SCHEDULE)),
    "DevNet": Component("baselines.devnet", dict(epochs=20, batch_size=64)),
    "ExtraTrees": Component("baselines.extra_trees", dict(n_estimators=50), False),
    "FAnoGAN": Component("baselines.fanogan", dict(dims=(8,), latent=4, **SHORTER)),
    "GANomaly": Component("baselines.ganomaly", dict(dims=(8,), code=4, **SHORTER)),
    "GradCon": Component("baselines.gradcon", dict(dims=(16, 8), **SCHEDULE)),
    "HistGradientBoosting": Component("baselines.hist_gradient_boosting", tensorflow=False),
    "IsolationForest": Component("baselines.isolation_forest", tensorflow=False),
    "KNN": Component("baselines.knn", tensorflow=False),
    "MExCVAE": Component("baselines.mex_cvae", dict(dims=(8, 4), **SCHEDULE)),
    "MeanDistance": Component("baselines.mean_distance", tensorflow=False),
    "OneClassSVM": Component("baselines.one_class_svm", dict(nu=0.01), False),
    "PCA": Component("baselines.pca", tensorflow=False),
    "REPEN": Component("baselines.repen", dict(epochs=5, batches=10, batch_size=64)),
    "Seq2Seq": Component(
        "baselines.seq2seq", dict(units=4, epochs=4, batch_size=32, learning_rate=1e-2)
    ),
    "VAE": Component("baselines.vae", dict(dims=(16,), code=4, **SCHEDULE)),
    "AdversarialClustering": Component(
        "libs.targets.clustering", dict(dims=(16, 8), clusters=3, **SHORTER)
    ),
    "MultiHeadAutoencoder": Component(
        "libs.targets.multi_head_autoencoder", dict(dims=(16, 8), clustering=GROUPS, **SCHEDULE)
    ),
    "GaussianNoise": Component("libs.architecture.anomaly"),
}
"""Each class by its name. Nothing else is ever loaded of a model folder."""
