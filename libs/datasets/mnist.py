"""MNIST (LeCun et al., 1998): handwritten digits."""

from pathlib import Path

from libs.datasets.dataset import DataSet
from libs.datasets.readers import images

SOURCE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
FILE = "mnist/mnist.npz"
SERVER = "https://storage.googleapis.com"
LABELS = {i: str(i) for i in range(10)}


def load(data_path: str | Path | None = None) -> DataSet:
    """Load MNIST from Keras' archive, else by tensorflow-datasets.

    Returns
    -------
    DataSet
        x (60000, 28, 28, 1) and x_test (10000, 28, 28, 1) in [0, 255]; classes "0" to "9".
    """
    return images.load_npz(data_path, FILE, "mnist", LABELS, SOURCE, SERVER)
