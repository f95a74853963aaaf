"""The scripts on images, on tiny files in Keras' layout; do_mnist is among the printed commands."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from processes import start

import parameter_mnist
from libs.detectors.components import describe

QUICK = ["--n_epochs", 1, "--n_train_anomalies", 5]


def write_images(path, counts):
    """Images of noise in Keras' layout: so many for each label, in both parts."""
    rng = np.random.default_rng(0)
    y = np.repeat(list(counts), list(counts.values())).astype(np.uint8)
    parts = {}
    for part in ("train", "test"):
        x = rng.integers(0, 256, (len(y), 28, 28)).astype(np.uint8)
        parts |= {f"x_{part}": x, f"y_{part}": y}
    path.parent.mkdir()
    np.savez(path, **parts)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """MNIST with 20 and EMNIST with 6 images of noise per class and part."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder / "mnist/mnist.npz", dict.fromkeys(range(10), 20))
    write_images(folder / "EMNIST/emnist-letters.npz", dict.fromkeys(range(1, 27), 6))
    return folder


@pytest.mark.slow
def test_mnist_emnist(images, tmp_path):
    """The classifier is trained, then read as a target by path."""
    target = tmp_path / "models/keras_mnist.keras"
    words = ["--n_epochs", 1, "--data_path", images]
    code, out, err = start("keras_mnist.py", *words, folder=tmp_path, cwd=tmp_path).finish()
    assert code == 0, err
    assert "test accuracy" in out
    words = [*QUICK, "--data_path", images, "-target_path", target, "--methods", "A3"]
    words += ["--normal", *range(10), "--known", *"ABCDE", "--unknown", *"VWXYZ"]  # one of two
    code, out, err = start("do_mnist_emnist.py", 706, "test", *words, folder=tmp_path).finish()
    assert code == 0, out + err
    (found,) = tmp_path.glob("models/*/*/706/*_known_A+B*/A3/n5/target.keras")
    expected = keras.models.load_model(target).get_weights()
    for a, b in zip(expected, keras.models.load_model(found).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    target.write_bytes(b"no model")
    code, _, err = start("do_mnist_emnist.py", 706, "test", *words, folder=tmp_path).finish()
    assert code == 2
    assert "is no Keras model that can be loaded" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_mnist_manually(images, tmp_path):
    words = ["--n_epochs", 1, "--data_path", images]
    code, out, err = start("do_mnist_manually.py", *words, folder=tmp_path).finish()
    assert code == 0, err
    assert out.count("AUC of 0-2 against") == 2


@pytest.mark.slow
def test_parameter_mnist(images, tmp_path):
    """The grid has 32 different points; some of them run, on one target, without a test row."""
    methods = parameter_mnist.parameters(None).methods(None)
    grid = {name: json.dumps(describe(method)) for name, method in methods.items()}
    assert len(grid) == len(set(grid.values())) == 33
    names = ["A3-none-1", "A3-w1+w2+o1+o2-1"]
    words = ["--n_epochs", 1, "--data_path", images, "--methods", *names]
    code, out, err = start("parameter_mnist.py", 706, "val", *words, folder=tmp_path).finish()
    assert code == 0, out + err
    (path,) = tmp_path.glob("results/mnist-sample/a3-parameters-e1/706/*/val/unknown.metric.csv")
    runs = pd.read_csv(path, index_col="run").index
    assert set(runs) == {"Autoencoder", *(f"{name}-n0" for name in names)}
    with np.load(path.parent / "scores.npz") as scores:
        assert len({scores[run].tobytes() for run in runs}) == 3
    assert not list(tmp_path.glob("results/*/*/*/*/test"))
