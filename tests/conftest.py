"""Toy rows, tiny settings for every detector, and the raw data where they are at hand."""

import ctypes
import gc
import os
import sys
from pathlib import Path

# a worker per core: threads beside it only wait for each other, and each keeps memory of its own
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# what oneDNN prepares and keeps for every shape takes longer than networks of this size
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import pytest
from processes import avoid_bfloat16

from libs.utils.runtime import start_tensorflow

start_tensorflow()
avoid_bfloat16()

import keras  # noqa: E402

from libs.datasets.splits import rows  # noqa: E402
from libs.detectors.components import component, rebuild  # noqa: E402
from libs.detectors.detector import Detector  # noqa: E402
from libs.detectors.registry import COMPONENTS, described  # noqa: E402
from libs.targets import multi_head_autoencoder  # noqa: E402
from libs.training import loop as training  # noqa: E402

DETECTORS = [name for name in COMPONENTS if issubclass(component(name), Detector)]


def make(name: str, epochs: int | None = None) -> Detector:
    """A small detector of the class ``name``, unfitted."""
    detector = rebuild(described(name, **COMPONENTS[name].small))
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


LONGEST = """
test_scripts.py test_printed_commands.py test_dashboard_page.py test_contract.py test_argue.py
test_explain.py test_r2ad2.py test_a3.py test_score.py test_argue_baselines.py test_project.py
test_protocol_scripts.py test_deepad.py test_sklearn.py test_deep_svdd.py test_comparison.py
""".split()
"""They start first, so that no worker is left alone with one of them at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What shares fixtures runs in one process: a file, or the contract tests of one detector."""
    for item in items:
        names = getattr(item, "callspec", None)
        detector = names.params.get("name") if names and "contract" in item.path.name else None
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(detector or item.path.name))
    first = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))


def pytest_collection_finish():
    """What the imports made stays: collections of garbage need not look at it again."""
    gc.freeze()


def release_memory() -> None:
    """Let go of networks and graphs that nobody needs any more, and of the memory they had."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="module", autouse=True)
def _released():
    """Each file leaves the process as small as it can."""
    yield
    keras.backend.clear_session()
    release_memory()


@pytest.fixture(autouse=True)
def _seeded():
    """Networks that a test builds by hand start alike, whatever ran before."""
    keras.utils.set_random_seed(1)


def limit_memory(patch: pytest.MonkeyPatch, normal: np.ndarray) -> None:
    """Let 100 rows be too many to hold; who reads as many as the ``normal`` ones fails."""
    gather = rows.Rows.__getitem__

    def bounded(self: rows.Rows, index: slice | np.ndarray) -> np.ndarray | rows.Rows:
        found = gather(self, index)
        assert isinstance(found, rows.Rows) or len(np.unique(found, axis=0)) < len(normal)
        return found

    patch.setattr(rows.Rows, "__getitem__", bounded)
    patch.setattr(rows, "HELD_BYTES", 100 * normal[:1].nbytes)
    patch.setattr(rows, "BLOCK_BYTES", 70 * normal[:1].nbytes)
    patch.setattr(training, "CALL_BYTES", 0)  # one batch a call
    for module in [m for n, m in sys.modules.items() if n.startswith(("libs.", "baselines."))]:
        if module is not training and hasattr(module, "CHUNK"):
            patch.setattr(module, "CHUNK", 64)
    patch.setattr(multi_head_autoencoder, "SCORE_BYTES", 2**16)


def touch_roc_pictures(patch: pytest.MonkeyPatch) -> None:
    """Let those of results be empty files: they are slow to draw and looked at in few tests."""
    patch.setattr("libs.experiments.result_files.roc_picture", lambda path, *_: path.touch())


@pytest.fixture
def without_roc_pictures(monkeypatch):
    """For a test that writes results; see `touch_roc_pictures`."""
    touch_roc_pictures(monkeypatch)


@pytest.fixture(scope="session")
def train_rows():
    return toy(1, 400, 60)


@pytest.fixture(scope="session")
def test_rows():
    return toy(2, 300, 300)


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    """Of a dashboard on digits that were trained for a moment; what lies there is only read."""
    from served import write_digits

    return write_digits(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """Of a dashboard on a user's own table; what lies there is only read."""
    from served import write_payments

    return write_payments(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="session")
def raw_data() -> Path:
    """The folder of real raw data; tests that need it are skipped where there is none."""
    folder = os.environ.get("A3_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("A3_DATA names no folder of raw data")
    return Path(folder)
