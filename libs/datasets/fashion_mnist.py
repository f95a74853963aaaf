"""Fashion-MNIST (Xiao et al., 2017): pictures of clothes in MNIST's format."""

from pathlib import Path

from libs.datasets.dataset import DataSet
from libs.datasets.readers import images

SOURCE = (
    "https://github.com/zalandoresearch/fashion-mnist, whose four files belong in one archive as "
    "the arrays x_train, y_train, x_test, y_test"
)
FILE = "fashion_mnist/fashion_mnist.npz"
SERVER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
LABELS = {i: str(i) for i in range(10)}
"""0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 boot"""


def load(data_path: str | Path | None = None) -> DataSet:
    """Load Fashion-MNIST from an archive in Keras' layout, else by tensorflow-datasets.

    Returns
    -------
    DataSet
        x (60000, 28, 28, 1) and x_test (10000, 28, 28, 1) in [0, 255]; classes "0" to "9".
    """
    return images.load_npz(data_path, FILE, "fashion_mnist", LABELS, SOURCE, SERVER)
