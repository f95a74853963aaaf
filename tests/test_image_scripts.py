"""The scripts on images, on tiny files in Keras' layout."""

import keras
import numpy as np
import pytest
from test_scripts import finish, start

QUICK = ["--n_epochs", 1, "--n_train_anomalies", 5]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """MNIST with 20 and EMNIST with 6 images of noise per class and part."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)

    def write(path, labels, each):
        path.parent.mkdir()
        y = np.repeat(labels, each).astype(np.uint8)
        parts = {}
        for part in ("train", "test"):
            shape = (len(y), 28, 28)
            parts |= {f"x_{part}": rng.integers(0, 256, shape).astype(np.uint8), f"y_{part}": y}
        np.savez(path, **parts)

    write(folder / "mnist/mnist.npz", np.arange(10), 20)
    write(folder / "EMNIST/emnist-letters.npz", np.arange(1, 27), 6)
    return folder


def test_mnist(images, tmp_path):
    code, out, err = finish(
        start("do_mnist.py", 706, "val", *QUICK, "--data_path", images, folder=tmp_path)
    )
    assert code == 0, out + err
    for run in ("A3-n5", "DAGMM", "DevNet-n5", "Autoencoder", "IsolationForest"):
        assert out.count(run) == 2


def test_mnist_with_a_vae(images, tmp_path):
    words = ["--n_epochs", 1, "--use_vae", 1, "--data_path", images]
    code, out, err = finish(start("do_mnist.py", 2409, "val", *words, folder=tmp_path))
    assert code == 0, out + err
    assert out.count("A3-vae-n0") == 2
    assert len(list(tmp_path.glob("models/*/*/2409/*/VAE/run"))) == 2


def test_mnist_emnist(images, tmp_path):
    """The classifier is trained, then read as a target by path."""
    target = tmp_path / "target.keras"
    code, out, err = finish(
        start("keras_mnist.py", target, "--n_epochs", 1, "--data_path", images, folder=tmp_path)
    )
    assert code == 0, err
    assert "test accuracy" in out
    words = [*QUICK, "--data_path", images, "-target_path", target]
    code, out, err = finish(start("do_mnist_emnist.py", 706, "test", *words, folder=tmp_path))
    assert code == 0, out + err
    (found,) = tmp_path.glob("models/*/*/706/*_known_A+B*/A3/n5/target.keras")
    expected = keras.models.load_model(target).get_weights()
    for a, b in zip(expected, keras.models.load_model(found).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    target.write_bytes(b"no model")
    code, _, err = finish(start("do_mnist_emnist.py", 706, "test", *words, folder=tmp_path))
    assert code == 2
    assert "is no Keras model that can be loaded" in err
    assert "Traceback" not in err


def test_mnist_manually(images, tmp_path):
    words = ["--n_epochs", 1, "--data_path", images]
    code, out, err = finish(start("do_mnist_manually.py", *words, folder=tmp_path))
    assert code == 0, err
    assert out.count("AUC of 0-2 against") == 2
