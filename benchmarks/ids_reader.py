"""CSE-CIC-IDS2018 read by our loader, against pandas' default reader with the same cleaning.

Writes a synthetic file of 700 MB in the published layout, and one of 70 MB with the four leading
columns of one day, into a temporary folder. Both ways read them in turn, each in a new process: the
first time from the raw files and, for ours, again from the cache. The files are in the page cache.

    python -m benchmarks.ids_reader [--megabytes 700] [--repetitions 3]
"""

import argparse
import statistics
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import in_own_process, phase, table
from benchmarks.synthetic import write_day
from libs.datasets import ids
from libs.datasets.readers import cache

TIMES = ("seconds", "CPU seconds")


def plain(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes by pandas with its defaults, cleaned like ours."""
    rows, classes = [], []
    for path in sorted((folder / "IDS").glob("*.csv")):
        with warnings.catch_warnings(action="ignore"):  # columns of mixed types: repeated headers
            frame = pd.read_csv(path)
        frame = frame[frame["Label"].isin(list(ids.FAMILIES))]
        numbers = frame[ids.LAYOUT.numbers].apply(pd.to_numeric).to_numpy(np.float32)
        protocol = pd.to_numeric(frame["Protocol"]).to_numpy()[:, None]
        x = np.hstack([numbers, (protocol == [0, 6, 17]).astype(np.float32)])
        complete = np.isfinite(x).all(axis=1)
        rows.append(x[complete])
        classes.append(frame["Label"].map(ids.FAMILIES).to_numpy(dtype=str)[complete])
    return np.concatenate(rows), np.concatenate(classes)


def ours(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes by `libs.datasets.ids`."""
    data = ids.load(folder)
    return data.x, data.classes


def compare(folder: Path) -> None:
    """Fail unless both ways give equal rows, up to rounding."""
    (x, classes), (x_ours, classes_ours) = plain(folder), ours(folder)
    np.testing.assert_array_equal(classes, classes_ours)
    np.testing.assert_allclose(x, x_ours, rtol=2e-7)
    print(f"{len(x)} rows, equal; other bits in {np.mean(x != x_ours):.1e} of the values")


def main(megabytes: int, repetitions: int) -> None:
    """Compare, then print the medians of the repetitions."""
    lines: dict[str, list[dict]] = {"plain": [], "first start": [], "second start": []}
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "IDS"
        small = Path(folder) / "small" / "IDS"
        for place, size in ((small, 20), (raw, megabytes)):
            place.mkdir(parents=True)
            write_day(place / "Thursday.csv", size * 10**6)
            write_day(place / "Tuesday.csv", size * 10**5, addresses=True)
        compare(small.parent)
        for _ in range(repetitions):
            for kept in (raw / cache.FOLDER).glob("*.zip"):
                kept.unlink()
            for name in lines:
                way = "plain" if name == "plain" else "ours"
                lines[name] += in_own_process("ids_reader", "--way", way, "--folder", folder)
        kept = sum(p.stat().st_size for p in (raw / cache.FOLDER).glob("*.zip")) / 10**6
    slow = statistics.median(line["seconds"] for line in lines["plain"])
    rows = []
    for name, found in lines.items():
        seconds, cpu = (statistics.median(line[k] for line in found) for k in TIMES)
        peak = max(line["VmRSS"] for line in found)
        row = {"way": name, "seconds": f"{seconds:.1f}", "CPU seconds": f"{cpu:.1f}"}
        rows.append(row | {"times faster": f"{slow / seconds:.1f}", "peak RSS, MiB": peak})
    print(f"\nThe cache takes {kept:.0f} MB.\n\n{table(rows)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=700)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--way", choices=("plain", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        with phase(args.way):
            globals()[args.way](args.folder)
    else:
        main(args.megabytes, args.repetitions)
