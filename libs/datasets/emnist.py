"""EMNIST letters (Cohen et al., 2017): handwritten letters, capital and small as one class."""

from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from libs.datasets.dataset import DataSet
from libs.datasets.readers import files, images
from libs.utils import storage
from libs.utils.errors import UserError

SOURCE = "https://www.nist.gov/itl/products-and-services/emnist-dataset (the MATLAB files)"
MATLAB, ARCHIVE = "EMNIST/emnist-letters.mat", "EMNIST/emnist-letters.npz"
SERVER = "https://biometrics.nist.gov"
PUBLISHED_ROWS = (124_800, 20_800)
LABELS = dict(enumerate(ascii_uppercase, start=1))


def load(data_path: str | Path | None = None) -> DataSet:
    """Load the letters, upright, from the first of three sources that is there.

    The official MATLAB file; an archive in Keras' layout, upright, labels from 1; or
    tensorflow-datasets, whose version has 88,800 + 14,800 rows and therefore counts as a sample.

    Returns
    -------
    DataSet
        x (124800, 28, 28, 1) and x_test (20800, 28, 28, 1) in [0, 255]; classes "A" to "Z".
    """
    matlab, archive = (files.data_folder(data_path) / name for name in (MATLAB, ARCHIVE))
    if matlab.is_file():
        raw, place = _read_matlab(matlab), str(matlab)
    elif archive.is_file():
        raw, place = images.read_npz(archive), str(archive)
    else:
        raw, place = _download(matlab), "tensorflow-datasets emnist/letters"
    return images.data_set("emnist", raw, LABELS, PUBLISHED_ROWS, place)


def _download(expected: Path) -> images.Raw:
    source = f"{SOURCE}; {ARCHIVE} will do as well"
    raw = images.download("emnist/letters", expected, source, SERVER)
    return replace(raw, x_train=raw.x_train.swapaxes(1, 2), x_test=raw.x_test.swapaxes(1, 2))


def _read_matlab(path: Path) -> images.Raw:
    """Read the official file, whose rows hold the pixels column by column."""
    try:
        content = loadmat(path, simplify_cells=True)["dataset"]
        train, test = content["train"], content["test"]
        arrays = [part[key] for part in (train, test) for key in ("images", "labels")]
    except (*images.DAMAGE, MatReadError, NotImplementedError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} is truncated or damaged, or not the official file: expected dataset.train "
            f"and dataset.test with images and labels ({type(error).__name__}: {error}). Get the "
            f"file again from {SOURCE}."
        ) from error
    x_train, y_train, x_test, y_test = map(np.asarray, arrays)
    return images.Raw(
        _upright(path, x_train), y_train, _upright(path, x_test), y_test, storage.sha256(path)
    )


def _upright(path: Path, x: np.ndarray) -> np.ndarray:
    if x.ndim != 2 or x.shape[1] != 784:
        raise UserError(
            f"{path}: expected images (n, 784), found {x.shape}. Get the file again from {SOURCE}."
        )
    return x.reshape(-1, 28, 28).swapaxes(1, 2)
