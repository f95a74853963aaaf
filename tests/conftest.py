"""Toy rows, tiny settings for every detector, and the raw data where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from libs.utils.runtime import start_tensorflow

start_tensorflow()

import keras  # noqa: E402

from baselines import Autoencoder, Checkpoints  # noqa: E402
from libs.detectors.detector import Detector  # noqa: E402
from libs.detectors.registry import COMPONENTS, component  # noqa: E402
from libs.targets.clustering import KMeansClustering  # noqa: E402
from libs.targets.multi_head_autoencoder import MultiHeadAutoencoder  # noqa: E402

DETECTORS = [name for name in COMPONENTS if issubclass(component(name), Detector)]

_SCHEDULE = {"epochs": 40, "batch_size": 32, "learning_rate": 1e-3}
_CHECKPOINTS = Checkpoints(dims=(12, 8, 4), epochs=20, batch_size=32)
_CODE = Autoencoder(dims=(16, 8), **_SCHEDULE)
_EXPERTS = MultiHeadAutoencoder(
    dims=(16, 8), clustering=KMeansClustering(_CODE, clusters=3), **_SCHEDULE
)
SETTINGS = {
    "AdversarialClustering": {"dims": (16, 8), "clusters": 3, **_SCHEDULE},
    # long enough to fit its labels: generated rows alone tell the toy's anomalies, too
    "ARGUE": {
        "target": _EXPERTS,
        "alarm_dims": (60, 30),
        "dropout": 0.0,
        "epochs": 100,
        "batch_size": 32,
        "learning_rate": 3e-3,
    },
    "FAnoGAN": {"dims": (16, 8), "latent": 4, **_SCHEDULE},
    "GANomaly": {"dims": (16, 8), "code": 4, **_SCHEDULE},
    "KMeansClustering": {"autoencoder": _CODE, "clusters": 3},
    "MixtureClustering": {"autoencoder": _CODE, "clusters": 3},
    "MExCVAE": {"dims": (16, 8, 4), **_SCHEDULE},
    "MultiHeadAutoencoder": _EXPERTS.get_params(deep=False),
    "A3": {"target": Autoencoder(dims=(16, 8), **_SCHEDULE), "alarm_dims": (60, 30), **_SCHEDULE},
    "Autoencoder": {"dims": (16, 8), **_SCHEDULE},
    "BiGAN": {"dims": (32,), "epochs": 20, "batch_size": 32, "learning_rate": 1e-3},
    "Checkpoints": {"dims": (12, 8, 4), "epochs": 20, "batch_size": 32},
    "DAGMM": {"dims": (16, 4), "epochs": 100, "batch_size": 64, "learning_rate": 3e-3},
    "DeepSAD": {"dims": (16, 8), **_SCHEDULE},
    "DeepSVDD": {"dims": (16, 8), **_SCHEDULE},
    "DevNet": {"epochs": 20, "batch_size": 64},
    "OneClassSVM": {"nu": 0.01},
    "Seq2Seq": {"units": 4, "epochs": 4, "batch_size": 32, "learning_rate": 1e-2},
    "GradCon": {"dims": (16, 8), **_SCHEDULE},
    "R2AD2": {
        "target": _CHECKPOINTS,
        "alarm_dims": (16, 8, 8),
        "steps": 2,
        "dropout": 0.1,
        "epochs": 50,
        "batch_size": 32,
        "learning_rate": 5e-3,
    },
    "R2AD2Sketch": {"target": _CHECKPOINTS, "size": 16, **_SCHEDULE | {"epochs": 15}},
    "REPEN": {"epochs": 5, "batches": 10, "batch_size": 64},
    "VAE": {"dims": (16,), "code": 4, **_SCHEDULE},
}
"""Settings that suit the toy rows; a detector that is not named here is tested with its own."""


def make(name: str, epochs: int | None = None) -> Detector:
    """A small detector of the class ``name``, unfitted."""
    detector = clone(component(name)(**SETTINGS.get(name, {})))
    if "random_state" in detector.get_params():  # else there is nothing random in it
        detector.set_params(random_state=3)
    if epochs is not None:
        for key in [k for k in detector.get_params() if k.split("__")[-1] == "epochs"]:
            detector.set_params(**{key: epochs})
    return detector


def toy(seed: int, normal: int, anomalies: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 20 features: the anomalies differ by a shift along one direction, in the bulk."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.5, 0.12, (normal + anomalies, 20)).astype(np.float32)
    x[normal:] += 0.15 * np.where(np.arange(20) % 2, 1, -1).astype(np.float32)
    return x, np.repeat([0, 1], [normal, anomalies]).astype(np.int32)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What shares fixtures runs in one process: a file, or the contract tests of one detector."""
    for item in items:
        names = getattr(item, "callspec", None)
        detector = names.params.get("name") if names and "contract" in item.path.name else None
        item.add_marker(pytest.mark.xdist_group(detector or item.path.name))


@pytest.fixture(autouse=True)
def _seeded():
    """Networks that a test builds by hand start alike, whatever ran before."""
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def train_rows():
    return toy(1, 400, 60)


@pytest.fixture(scope="session")
def test_rows():
    return toy(2, 300, 300)


@pytest.fixture(scope="session")
def raw_data() -> Path:
    """The folder of real raw data; tests that need it are skipped where there is none."""
    folder = os.environ.get("A3_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("A3_DATA names no folder of raw data")
    return Path(folder)
