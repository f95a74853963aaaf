"""Images of 28 × 28 pixels: local files first, then tensorflow-datasets."""

import hashlib
import logging
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import fetch, files
from libs.utils import storage
from libs.utils.errors import UserError

log = logging.getLogger("a3")
KEYS = ("x_train", "y_train", "x_test", "y_test")
DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy raises for a truncated or unsuitable file."""


@dataclass(frozen=True)
class Raw:
    """Training and test images and labels as stored in a source, and the source's digest."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    fingerprint: str


def read_npz(path: Path) -> Raw:
    """Read ``x_train, y_train, x_test, y_test`` from an archive in Keras' layout."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            arrays = {key: archive[key] for key in KEYS if key in archive.files}
    except (*DAMAGE, TypeError) as error:  # TypeError: a single array is no archive
        raise UserError(
            f"{path} is truncated or damaged, or is no .npz archive ({error}). Get the file again."
        ) from error
    if missing:
        raise UserError(
            f"{path}: expected the arrays {', '.join(KEYS)}; missing: {', '.join(missing)}. "
            "Get the file again."
        )
    return Raw(**arrays, fingerprint=storage.sha256(path))


def download(name: str, expected: Path, source: str, server: str) -> Raw:
    """Load a data set by tensorflow-datasets, which downloads it at first use.

    Parameters
    ----------
    name : str
        Its name there.
    expected : Path
        The local file that would be used instead, for the error message.
    source : str
        Where to get that file.
    server : str
        Where tensorflow-datasets downloads from; without an answer it would try for minutes.
    """
    log.info("%s not found: loading %s with tensorflow-datasets", expected, name)
    kept = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser() / name
    try:
        if not any(kept.glob("*/dataset_info.json")):
            fetch.check_answers(server)
        import tensorflow_datasets as tfds

        parts = tfds.load(name, split=["train", "test"], as_supervised=True, download=True)
        batches = [zip(*tfds.as_numpy(part.batch(1024)), strict=True) for part in parts]
        x_train, y_train, x_test, y_test = (np.concatenate(b) for part in batches for b in part)
    except Exception as error:
        raise UserError(
            f"raw file not found: expected {expected}, and tensorflow-datasets cannot load {name} "
            f"({type(error).__name__}: {error}). Get the file from {source}, put it there, or name "
            "its folder with --data_path or the environment variable A3_DATA; or, with a network: "
            "pip install tensorflow-datasets importlib_resources && python -c "
            f"\"import tensorflow_datasets as tfds; tfds.load('{name}')\""
        ) from error
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(np.ascontiguousarray(array))
    return Raw(x_train, y_train, x_test, y_test, digest.hexdigest())


def data_set(
    name: str, raw: Raw, labels: dict[int, str], published: tuple[int, int], place: str
) -> DataSet:
    """Check images and labels, and map labels to classes.

    Parameters
    ----------
    name : str
    raw : Raw
        Images (n, 28, 28) or (n, 28, 28, 1) in [0, 255]; integer labels (n,).
    labels : dict of int to str
        The class of each raw label.
    published : (int, int)
        Rows of the published training and test split; any other number is a sample.
    place : str
        The file or source, for errors.
    """
    x = _images(raw.x_train, f"{place}, x_train")
    x_test = _images(raw.x_test, f"{place}, x_test")
    return DataSet(
        name=name if (len(x), len(x_test)) == published else f"{name}-sample",
        x=x,
        classes=_classes(raw.y_train, len(x), labels, f"{place}, y_train"),
        x_test=x_test,
        classes_test=_classes(raw.y_test, len(x_test), labels, f"{place}, y_test"),
        fingerprint=raw.fingerprint,
        maximum=255.0,
    )


def _images(x: np.ndarray, place: str) -> np.ndarray:
    """Images (n, 28, 28, 1), float32."""
    if not x.size or x.shape[1:] not in {(28, 28), (28, 28, 1)} or x.dtype.kind not in "uif":
        raise UserError(
            f"{place}: expected images (n, 28, 28) of numbers, found {x.shape} of {x.dtype}. "
            "Get the file again."
        )
    images = x.reshape(-1, 28, 28, 1).astype(np.float32)
    bad = np.argwhere(~((images >= 0) & (images <= 255)))
    if len(bad):
        row, i, j, _ = bad[0].tolist()
        raise UserError(
            f"{place}, row {row + 1}, pixel ({i}, {j}): expected a number in [0, 255], found "
            f"{images[row, i, j, 0]}. Get the file again."
        )
    return images


def _classes(y: np.ndarray, rows: int, labels: dict[int, str], place: str) -> np.ndarray:
    """Map labels to classes; an unknown label is an error."""
    if y.shape != (rows,) or y.dtype.kind not in "ui":
        raise UserError(
            f"{place}: expected {rows} whole numbers, one for each image, found {y.shape} of "
            f"{y.dtype}. Get the file again."
        )
    unknown = np.flatnonzero(~np.isin(y, list(labels)))
    if len(unknown):
        row = int(unknown[0])
        raise UserError(
            f"{place}, row {row + 1}: unknown label {int(y[row])}; expected one of "
            f"{', '.join(map(str, labels))}. Get the file again."
        )
    names = np.zeros(max(labels) + 1, dtype="<U1")
    names[list(labels)] = list(labels.values())
    return names[y]


def load_npz(
    data_path: str | Path | None,
    file: str,
    name: str,
    labels: dict[int, str],
    source: str,
    server: str,
) -> DataSet:
    """Load a data set of 60,000 + 10,000 images from its local archive, else by download.

    The archive lies in the data folder, or among Keras' own (``~/.keras/datasets``).

    ``file`` is the path of the archive below the data folder; ``name`` is that of the data set here
    and in tensorflow-datasets. For the other parameters see `data_set` and `download`.
    """
    expected = files.data_folder(data_path) / file
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    places = (expected, keras / "datasets" / expected.name)
    path = next((place for place in places if place.is_file()), None)
    raw = read_npz(path) if path else download(name, expected, source, server)
    place = str(path or f"tensorflow-datasets {name}")
    return data_set(name, raw, labels, (60_000, 10_000), place)
