"""KDD Cup 1999: network connections, 41 features, attack families; NSL-KDD's raw source.

python -m libs.datasets.kdd99 --download    fetches the raw files
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets import nslkdd
from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, fetch, files
from libs.utils import storage
from libs.utils.command_line import plain_parser, run
from libs.utils.seeds import derive_seed

SOURCE = "http://kdd.ics.uci.edu/databases/kddcup99/"
ADVICE = f"{SOURCE} (python -m libs.datasets.kdd99 --download)"
FILES = ("kdd/kddcup.data_10_percent", "kdd/corrected")
PUBLISHED_ROWS = (494_021, 311_029)
PUBLISHED = (
    (2_144_903, "8045aca0d84e70e622d1148d7df782496f6333bf6eb979a1b0837c42a9fd9561"),
    (1_409_035, "74f0daef49b242badc09f2adbd457dea6a45b4f77177efbd11216d333651044b"),
)
"""Bytes and SHA-256 of the gzipped files."""

COLUMNS = nslkdd.COLUMNS[:42]
"""41 features and the label."""
NUMBERS = [c for c in COLUMNS[:41] if c not in nslkdd.CATEGORIES]
CATEGORIES = nslkdd.CATEGORIES | {"service": ["icmp", *nslkdd.CATEGORIES["service"]]}
"""NSL-KDD's, and a service that only two test rows have."""
TRAFFIC = """
srv_count serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate
srv_diff_host_rate dst_host_count dst_host_srv_count dst_host_same_srv_rate dst_host_diff_srv_rate
dst_host_same_src_port_rate dst_host_srv_diff_host_rate dst_host_serror_rate
dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate
""".split()
"""The 18 numeric statistics of traffic windows that deepad keeps, in its order."""

NOVEL = """
apache2 httptunnel mailbomb mscan named processtable ps saint sendmail snmpgetattack snmpguess
sqlattack udpstorm worm xlock xsnoop xterm
""".split()
"""Attacks in the test file only; deepad counts them as normal."""
CLASSES = {
    f"{label}.": f"novel {family}" if label in NOVEL else family
    for family, labels in nslkdd.FAMILIES.items()
    for label in labels.split()
}
VALIDATION, VALIDATION_SEED = 0.2, 200
"""Fraction of each class of the test file that is held out for validation; deepad's numbers."""

AUTHORS_SOURCE = "https://github.com/fastforwardlabs/deepad (data/kdd/8020)"
AUTHORS_ROWS = {
    "kdd/8020/val_inliers.csv": 15_864,
    "kdd/8020/val_outliers.csv": 46_341,
    "kdd/8020/test_inliers.csv": 8_000,
    "kdd/8020/test_outliers.csv": 2_000,
}
VARIANTS = ("41", "unique", "41+unique", "authors")

Rows = tuple[np.ndarray, np.ndarray]
"""Rows (n, features) and their classes (n,)."""


def load(data_path: str | Path | None = None, variant: str = "") -> DataSet:
    """Load KDD Cup 1999, plain or gzipped: the 10-percent file to train, ``corrected`` to test.

    As in deepad, a fifth of each class of the test file is held out for validation; the rest are
    the test rows. The draw has its own fixed seed and is the same for every run.

    Parameters
    ----------
    data_path : path, optional
        See `libs.datasets.readers.files.data_folder`.
    variant : {"", "41", "unique", "41+unique", "authors"}
        ``41``: all features, the text columns as one 0/1 column per value, instead of deepad's 18.
        ``unique``: without duplicates (same class and features) among validation and test rows.
        ``authors``: the validation and test rows that deepad's repository holds, 18 features, whose
        novel attacks can no longer be told from normal rows.

    Returns
    -------
    DataSet
        x (494021, 18 or 123) float32; classes normal, DoS, Probe, R2L, U2R, and of validation and
        test rows "novel DoS", ... for attacks that the training file does not hold. The authors'
        rows are "normal" or "attack". Called ``kdd99+41+unique``, for example.
    """
    wide = variant.startswith("41")
    paths = [files.find_file(data_path, name, ADVICE) for name in FILES]
    x, classes = _read(paths[0], wide)
    if variant == "authors":
        paths[1:] = [files.find_file(data_path, name, AUTHORS_SOURCE) for name in AUTHORS_ROWS]
        parts = [_read_authors(path) for path in paths[1:]]
        complete = [len(x), *(len(rows) for rows, _ in parts)] == [
            PUBLISHED_ROWS[0],
            *AUTHORS_ROWS.values(),
        ]
        val, test = (_join_rows(parts[:2]), _join_rows(parts[2:]))
    else:
        official = _read(paths[1], wide)
        complete = (len(x), len(official[0])) == PUBLISHED_ROWS
        val, test = _hold_out_validation(
            _without_duplicates(official) if "unique" in variant else official
        )
    hot = [f"{column}={value}" for column, values in CATEGORIES.items() for value in values]
    return DataSet(
        name=f"kdd99{'+' * bool(variant)}{variant}{'' if complete else '-sample'}",
        x=x,
        classes=classes,
        x_val=val[0],
        classes_val=val[1],
        x_test=test[0],
        classes_test=test[1],
        features=(*NUMBERS, *hot) if wide else tuple(TRAFFIC),
        fingerprint="".join(storage.sha256(path)[:32] for path in paths),
    )


def _read(path: Path, wide: bool) -> Rows:
    """Read one raw file, all features or deepad's."""
    frame = blocks.read_table(path, NUMBERS, [*CATEGORIES, "label"], columns=COLUMNS)
    classes = files.map_labels(frame, "label", CLASSES, path)
    if not wide:
        return frame[TRAFFIC].to_numpy(np.float32), classes
    hot = [files.one_hot(frame, c, values, path) for c, values in CATEGORIES.items()]
    return np.hstack([frame[NUMBERS].to_numpy(np.float32), *hot]), classes


def _read_authors(path: Path) -> Rows:
    """Read one of deepad's prepared files: a header, 18 features, and the target 0 or 1."""
    frame = blocks.read_table(path, TRAFFIC, ["target"])
    classes = files.map_labels(frame, "target", {"0": "normal", "1": "attack"}, path)
    return frame[TRAFFIC].to_numpy(np.float32), classes


def _join_rows(parts: list[Rows]) -> Rows:
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _without_duplicates(rows: Rows) -> Rows:
    """Keep the first of all rows that agree in features and class."""
    x, classes = rows
    first = ~pd.DataFrame(x).assign(classes=classes).duplicated().to_numpy()
    return x[first], classes[first]


def _hold_out_validation(rows: Rows) -> tuple[Rows, Rows]:
    """Validation rows and test rows, each in the order of the file."""
    x, classes = rows
    chosen = np.zeros(len(x), bool)
    for name in np.unique(classes):
        rng = np.random.default_rng(derive_seed(VALIDATION_SEED, "validation", str(name)))
        of_class = rng.permutation(np.flatnonzero(classes == name))
        chosen[of_class[: round(VALIDATION * len(of_class))]] = True
    return (x[chosen], classes[chosen]), (x[~chosen], classes[~chosen])


def parser() -> argparse.ArgumentParser:
    """Options of the download."""
    parser = plain_parser(__doc__)
    parser.add_argument("--download", action="store_true", required=True)
    parser.add_argument("--data_path", type=Path, help="folder (default: $A3_DATA, or data)")
    parser.add_argument("--source", default=SOURCE, metavar="URL", help=f"default: {SOURCE}")
    return parser


def main(args: argparse.Namespace) -> None:
    """Download what is missing."""
    for name, (size, digest) in zip(FILES, PUBLISHED, strict=True):
        path = files.data_folder(args.data_path) / f"{name}.gz"
        fetch.fetch(f"{args.source}{path.name}", path, size, digest)


if __name__ == "__main__":
    raise SystemExit(run(main, parser()))
