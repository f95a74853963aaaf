"""Loaders of images: local files, the fallback to tensorflow-datasets, every kind of damage."""

import shutil
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat

from libs.datasets import emnist, fashion_mnist, mnist
from libs.datasets import registry as datasets
from libs.datasets.readers import fetch
from libs.utils.errors import UserError


@pytest.fixture(autouse=True)
def _without_files_of_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "no such folder"))


LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
FILES = {"mnist": mnist.FILE, "fashion_mnist": fashion_mnist.FILE, "emnist": emnist.ARCHIVE}


def arrays(labels, n_train=52, n_test=26) -> dict[str, np.ndarray]:
    """Random images; in each of them the first row's last pixel is 255 and the one below it 0."""
    rng = np.random.default_rng(1)
    parts = {}
    for part, n in (("train", n_train), ("test", n_test)):
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        x[:, 0, 27], x[:, 1, 27] = 255, 0
        parts[f"x_{part}"] = x
        parts[f"y_{part}"] = np.resize(labels, n).astype(np.uint8)
    return parts


def write_npz(folder: Path, name: str, **changes) -> Path:
    """An archive in Keras' layout; an array that is changed to None is left out."""
    path = folder / FILES[name]
    path.parent.mkdir(exist_ok=True)
    labels = range(1, 27) if name == "emnist" else range(10)
    content = arrays(list(labels)) | changes
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def write_matlab(folder: Path, **changes) -> Path:
    """The official layout: pixels column by column, labels (n, 1), a mapping that is not used."""
    raw = arrays(list(range(1, 27))) | changes
    path = folder / emnist.MATLAB
    path.parent.mkdir(exist_ok=True)
    parts = {
        part: {
            "images": raw[f"x_{part}"].swapaxes(1, 2).reshape(len(raw[f"x_{part}"]), -1),
            "labels": raw[f"y_{part}"].astype(float)[:, None].astype(np.uint8),
            "writers": np.ones((len(raw[f"y_{part}"]), 1)),
        }
        for part in ("train", "test")
    }
    savemat(path, {"dataset": parts | {"mapping": np.ones((26, 3))}})
    return path


@pytest.mark.parametrize("name", FILES)
def test_npz_layout(tmp_path, name):
    write_npz(tmp_path, name)
    data = datasets.load(name, tmp_path)
    assert data.name == f"{name}-sample"
    assert (data.x.shape, data.x_test.shape) == ((52, 28, 28, 1), (26, 28, 28, 1))
    assert (data.x.dtype, data.x.min(), data.x.max()) == (np.float32, 0, 255)
    assert (data.maximum, data.features, len(data.fingerprint)) == (255, (), 64)
    expected = LETTERS if name == "emnist" else list("0123456789")
    assert list(data.classes[: len(expected)]) == expected
    assert (data.x[:, 0, 27] == 255).all()


def test_matlab_layout_is_made_upright(tmp_path):
    write_matlab(tmp_path)
    data = datasets.load("emnist", tmp_path)
    expected = arrays(list(range(1, 27)))
    assert np.array_equal(data.x[..., 0], expected["x_train"])
    assert np.array_equal(data.x_test[..., 0], expected["x_test"])
    assert list(data.classes) == LETTERS * 2
    assert data.name == "emnist-sample"


def test_matlab_comes_before_npz(tmp_path):
    write_npz(tmp_path, "emnist", x_train=np.zeros((52, 28, 28)))
    write_matlab(tmp_path)
    assert datasets.load("emnist", tmp_path).x.any()


def test_mnist_emnist_joins_both(tmp_path):
    write_npz(tmp_path, "mnist")
    write_npz(tmp_path, "emnist")
    data = datasets.load("mnist_emnist", tmp_path)
    assert data.name == "mnist_emnist-sample"
    assert (len(data.x), len(data.x_test)) == (104, 52)
    assert sorted(set(data.classes_test)) == [*"0123456789", *LETTERS]
    assert np.array_equal(data.x[52:], datasets.load("emnist", tmp_path).x)
    assert len(data.fingerprint) == 64


NAN = np.zeros((52, 28, 28), np.float32)
NAN[2, 5, 6] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, r"missing: y_test"),
        ({"x_train": np.zeros((52, 27, 28))}, r"x_train: expected images .*found \(52, 27, 28\)"),
        ({"x_train": np.zeros((0, 28, 28))}, r"x_train: expected images .*found \(0, 28, 28\)"),
        ({"x_train": np.uint8(3)}, r"x_train: expected images .*found \(\)"),
        ({"x_test": np.full((26, 28, 28), "a")}, r"x_test: expected images .*of <U1"),
        ({"x_train": NAN}, r"x_train, row 3, pixel \(5, 6\): .*found nan"),
        ({"x_train": np.full((52, 28, 28), 256)}, r"row 1, pixel \(0, 0\): .*found 256"),
        ({"y_train": np.zeros(51, int)}, r"y_train: expected 52 whole numbers.*\(51,\)"),
        ({"y_test": np.zeros(26)}, r"y_test: expected 26 whole numbers.*float64"),
        ({"y_test": np.array([1, 2, 77] + [3] * 23)}, r"y_test, row 3: unknown label 77"),
        ({"y_test": np.array([1, -1] + [3] * 24)}, r"y_test, row 2: unknown label -1"),
        ({"x_train": np.array([None])}, r"truncated or damaged.*allow_pickle=False"),
    ],
)
@pytest.mark.parametrize("name", ["mnist", "emnist"])
def test_npz_errors_name_the_place(tmp_path, name, changes, message):
    write_npz(tmp_path, name, **changes)
    with pytest.raises(UserError, match=message) as error:
        datasets.load(name, tmp_path)
    assert FILES[name] in str(error.value)


def _damaged(path: Path, damage: str) -> None:
    content = path.read_bytes()
    damages = {"cut": content[: len(content) // 2], "text": b"not an archive", "empty": b""}
    path.write_bytes(damages[damage])


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
@pytest.mark.parametrize("write", [lambda f: write_npz(f, "emnist"), write_matlab])
def test_damaged_files(tmp_path, write, damage):
    path = write(tmp_path)
    _damaged(path, damage)
    with pytest.raises(UserError, match="truncated or damaged") as error:
        datasets.load("emnist", tmp_path)
    assert str(path) in str(error.value)


def test_lone_array_is_no_archive(tmp_path):
    path = write_npz(tmp_path, "mnist")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match=r"mnist\.npz .*no \.npz archive"):
        datasets.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((52, 28, 27))}, r"expected images \(n, 784\), found \(52, 756\)"),
        ({"y_test": np.resize([1, 2, 27], 26)}, r"y_test, row 3: unknown label 27"),
    ],
)
def test_matlab_errors_name_the_place(tmp_path, changes, message):
    path = write_matlab(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("emnist", tmp_path)
    assert str(path) in str(error.value)


def test_matlab_of_another_layout(tmp_path):
    path = write_matlab(tmp_path)
    savemat(path, {"X": np.zeros((3, 3)), "dataset": np.zeros((3, 3))})
    with pytest.raises(UserError, match=r"expected dataset\.train and dataset\.test"):
        datasets.load("emnist", tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.slow
def test_fallback_to_tensorflow_datasets(tmp_path, monkeypatch, name):
    """Their own mock: the real signature and features, made-up rows, no network."""
    tfds = pytest.importorskip("tensorflow_datasets")
    tf = pytest.importorskip("tensorflow")
    labels = list(range(1, 27)) if name == "emnist" else list(range(10))
    raw = arrays(labels)

    def as_dataset(builder, split=None, **options):
        images = raw[f"x_{split}"][..., None]
        rows = {"image": images, "label": raw[f"y_{split}"].astype(np.int64)}
        return tf.data.Dataset.from_tensor_slices(rows)

    monkeypatch.setattr(fetch, "check_answers", lambda server: None)
    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        data = datasets.load(name, tmp_path)
    expected = raw["x_train"].swapaxes(1, 2) if name == "emnist" else raw["x_train"]
    assert np.array_equal(data.x[..., 0], expected)
    assert list(data.classes[: len(labels)]) == (LETTERS if name == "emnist" else [*"0123456789"])
    assert data.name == f"{name}-sample"
    assert len(data.fingerprint) == 64


def _no_network(*args, **options):
    raise ConnectionError("no network")


@pytest.mark.parametrize(
    ("module", "found"),
    [(None, "ModuleNotFoundError"), (SimpleNamespace(load=_no_network), "no network")],
)
@pytest.mark.parametrize("name", FILES)
def test_without_file_and_download_one_message(tmp_path, monkeypatch, name, module, found):
    monkeypatch.setattr(fetch, "check_answers", lambda server: None)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    with pytest.raises(UserError) as error:
        datasets.load(name, tmp_path)
    for part in (
        FILES[name],
        found,
        "https://",
        "--data_path",
        "A3_DATA",
        "python -c",
        "tfds.load",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.slow
def test_without_a_network_the_message_comes_at_once(tmp_path, monkeypatch, name):
    """tensorflow-datasets itself would try again for minutes."""
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def hangs(*args, **options):
        time.sleep(3)
        raise OSError

    monkeypatch.setattr(urllib.request, "urlopen", hangs)
    started = time.monotonic()
    with pytest.raises(UserError, match="does not answer") as error:
        datasets.load(name, tmp_path)
    assert time.monotonic() - started < 10
    assert "\n" not in str(error.value)


def test_archives_of_keras_are_found(tmp_path, monkeypatch):
    """Those that its own loader has downloaded, unless the data folder has the file."""
    kept = tmp_path / "keras/datasets/mnist.npz"
    kept.parent.mkdir(parents=True)
    shutil.move(write_npz(tmp_path, "mnist"), kept)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    found = datasets.load("mnist", tmp_path)
    assert np.array_equal(found.x[..., 0], arrays(list(range(10)))["x_train"])
    write_npz(tmp_path, "mnist", x_train=np.zeros((52, 28, 28)))
    assert not datasets.load("mnist", tmp_path).x.any()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.slow
def test_real_archives_are_complete(raw_data, name):
    data = datasets.load(name, raw_data)
    assert data.name == name
    assert (data.x.shape, data.x_test.shape) == ((60_000, 28, 28, 1), (10_000, 28, 28, 1))
    assert (data.x.min(), data.x.max()) == (0, 255)
    counts = dict(zip(*np.unique(data.classes, return_counts=True), strict=True))
    assert list(counts) == list("0123456789")
    assert (counts["0"], counts["1"]) == ((5923, 6742) if name == "mnist" else (6000, 6000))


@pytest.mark.slow
def test_real_letters_are_a_sample_and_upright(raw_data):
    data = datasets.load("emnist", raw_data)
    assert data.name == "emnist-sample"
    assert (data.x.shape, data.x_test.shape) == ((39_000, 28, 28, 1), (10_400, 28, 28, 1))
    counts = dict(zip(*np.unique(data.classes, return_counts=True), strict=True))
    assert counts == dict.fromkeys(LETTERS, 1500)
    mean = data.x[data.classes == "T"].mean(axis=0)[..., 0]
    assert mean[:14].sum() > mean[14:].sum(), "the bar of a T is above"
