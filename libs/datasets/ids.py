"""CSE-CIC-IDS2018 (Sharafaldin et al., 2018): network flows of ten days, attack families."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from libs.datasets import ids2017
from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, cache, files, flows
from libs.datasets.readers.delimited import PIECE, read_ahead
from libs.datasets.splits.rows import collect_blocks
from libs.utils.errors import UserError

SOURCE = (
    "https://www.unb.ca/cic/datasets/ids-2018.html (aws s3 sync --no-sign-request --region "
    '<your-region> "s3://cse-cic-ids2018/Processed Traffic Data for ML Algorithms/" data/IDS)'
)
FOLDER = "IDS"
PUBLISHED_ROWS = 16_232_943
"""Flows of the ten files, incomplete ones included, 59 repeated headers not."""

NUMBERS = """
Dst Port, Flow Duration, Tot Fwd Pkts, Tot Bwd Pkts, TotLen Fwd Pkts, TotLen Bwd Pkts,
Fwd Pkt Len Max, Fwd Pkt Len Min, Fwd Pkt Len Mean, Fwd Pkt Len Std, Bwd Pkt Len Max,
Bwd Pkt Len Min, Bwd Pkt Len Mean, Bwd Pkt Len Std, Flow Byts/s, Flow Pkts/s, Flow IAT Mean,
Flow IAT Std, Flow IAT Max, Flow IAT Min, Fwd IAT Tot, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max,
Fwd IAT Min, Bwd IAT Tot, Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min, Fwd PSH Flags,
Bwd PSH Flags, Fwd URG Flags, Bwd URG Flags, Fwd Header Len, Bwd Header Len, Fwd Pkts/s,
Bwd Pkts/s, Pkt Len Min, Pkt Len Max, Pkt Len Mean, Pkt Len Std, Pkt Len Var, FIN Flag Cnt,
SYN Flag Cnt, RST Flag Cnt, PSH Flag Cnt, ACK Flag Cnt, URG Flag Cnt, CWE Flag Count,
ECE Flag Cnt, Down/Up Ratio, Pkt Size Avg, Fwd Seg Size Avg, Bwd Seg Size Avg, Fwd Byts/b Avg,
Fwd Pkts/b Avg, Fwd Blk Rate Avg, Bwd Byts/b Avg, Bwd Pkts/b Avg, Bwd Blk Rate Avg,
Subflow Fwd Pkts, Subflow Fwd Byts, Subflow Bwd Pkts, Subflow Bwd Byts, Init Fwd Win Byts,
Init Bwd Win Byts, Fwd Act Data Pkts, Fwd Seg Size Min, Active Mean, Active Std, Active Max,
Active Min, Idle Mean, Idle Std, Idle Max, Idle Min
"""
FAMILIES = {
    "Benign": "Benign",
    "Bot": "Bot",
    "FTP-BruteForce": "BruteForce",
    "SSH-Bruteforce": "BruteForce",
    "DDOS attack-HOIC": "DDoS",
    "DDOS attack-LOIC-UDP": "DDoS",
    "DDoS attacks-LOIC-HTTP": "DDoS",
    "DoS attacks-GoldenEye": "DoS",
    "DoS attacks-Hulk": "DoS",
    "DoS attacks-SlowHTTPTest": "DoS",
    "DoS attacks-Slowloris": "DoS",
    "Infilteration": "Infiltration",
    "Brute Force -Web": "WebAttacks",
    "Brute Force -XSS": "WebAttacks",
    "SQL Injection": "WebAttacks",
}
LAYOUT = flows.Layout(
    numbers=[name.strip() for name in NUMBERS.split(",")],
    unused=["Timestamp", "Flow ID", "Src IP", "Src Port", "Dst IP"],
    protocols=["0", "6", "17"],
    families=FAMILIES,
)
"""The last four unused columns are in the file of one day only."""


_RECIPE = hashlib.sha256(f"2 {PIECE} {LAYOUT}".encode()).hexdigest()
"""What a cache depends on besides the file; increase the first number if cleaning changes."""


NORMAL_BY = "day"
VARIANTS = ("day",)
DAYS = ("2018-02-14", "2018-02-22", "2018-02-23", "2018-02-28", "2018-03-01", "2018-03-02")
"""The days without attacks of the families DoS and DDoS; ARGUE's normal classes."""


def load(
    data_path: str | Path | None = None, variant: str = "", normal_by: str | None = None
) -> DataSet:
    """Load all files of the folder ``IDS``, plain or gzipped, in the order of their names.

    If there is none, CIC-IDS2017 is loaded instead, under its own name; see
    `libs.datasets.ids2017`. Rows with NaN or Infinity and repeated headers are dropped. Impossible
    numbers, such as negative durations, are kept as published.

    The first run caches the rows, which later runs read; see `libs.datasets.readers.cache`.
    Rows that take more than `libs.datasets.splits.rows.HELD_BYTES` are a memory-mapped file.

    With normal_by="day" (ARGUE's experts) the class of a benign flow is the date of its file, such
    as 2018-02-14. In the variant "day" the rank of that date is an input as well, which gives
    attacks away by their date.

    Returns
    -------
    DataSet
        x (n, 80) float32; classes Benign, Bot, BruteForce, DDoS, DoS, Infiltration, WebAttacks.
    """
    paths = _files(data_path)
    if not paths and files.find_optional(data_path, ids2017.FILE):
        return ids2017.load(data_path, variant, normal_by)
    if not paths:
        raise _missing_files(files.data_folder(data_path))
    days = [cache.load_cached(path, _RECIPE, partial(_blocks, path)) for path in paths]
    for path, day in zip(paths, days, strict=True):
        flows.log_dropped(path, day.rows, day.about["read"])
    dates = [_date(path) for path in paths] if variant or normal_by else []
    blocks_of = [
        _add_dates(read_ahead(day.blocks()), dates, i, variant, normal_by)
        for i, day in enumerate(days)
    ]
    rows = sum(day.rows for day in days)
    features = (*LAYOUT.features, variant) if variant else LAYOUT.features
    classes: list[np.ndarray] = []
    x = collect_blocks(
        _note_classes(chain.from_iterable(blocks_of), classes),
        (rows, len(features)),
        cache.cache_folders(paths[0]),
    )
    digests = "".join(day.about["sha256"] for day in days)
    complete = sum(day.about["read"] for day in days) == PUBLISHED_ROWS
    name = f"ids+{variant}" if variant else "ids"
    return DataSet(
        name=name if complete else f"{name}-sample",
        x=x,
        classes=np.concatenate(classes),
        features=features,
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
        normal_by=normal_by,
    )


def _missing_files(folder: Path) -> UserError:
    return UserError(
        f"raw files not found: expected {folder / FOLDER}/*.csv or *.csv.gz (CSE-CIC-IDS2018) "
        f"or {folder / ids2017.FILE} (CIC-IDS2017). Get them from {SOURCE} or "
        f"{ids2017.SOURCE}, put them there, or name their folder with --data_path or the "
        "environment variable A3_DATA."
    )


def _blocks(path: Path) -> Iterator[flows.Block]:
    """Yield the cleaned rows of one day's file; reading starts with the first one."""
    text = ["Protocol", "Label"]
    frames = blocks.read_blocks(path, LAYOUT.numbers, text, LAYOUT.unused, gaps=True)
    return flows.clean_blocks(path, read_ahead(frames), LAYOUT)


def _note_classes(parts: Iterable[flows.Block], classes: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows of each block, and append its classes to a list."""
    for part in parts:
        classes.append(part.classes)
        yield part.x


def days(data_path: str | Path | None = None) -> tuple[str, ...]:
    """ARGUE's normal classes for the files that `load` takes: `DAYS`, or those of 2017."""
    instead = not _files(data_path) and files.find_optional(data_path, ids2017.FILE)
    return ids2017.DAYS if instead else DAYS


def _date(path: Path) -> str:
    """The date in a file's name, such as Wednesday-14-02-2018_TrafficForML_CICFlowMeter.csv."""
    found = re.search(r"(\d\d)-(\d\d)-(\d{4})", path.name)
    if not found:
        raise UserError(
            f"{path}: expected the date in the file's name, as published: "
            "Wednesday-14-02-2018_TrafficForML_CICFlowMeter.csv"
        )
    return "-".join(reversed(found.groups()))


def _add_dates(
    parts: Iterable[flows.Block],
    dates: list[str],
    file: int,
    variant: str,
    normal_by: str | None,
) -> Iterator[flows.Block]:
    """Yield the blocks of a file with the date as a class, or its rank as a feature, if asked."""
    for part in parts:
        x, classes = part.x, part.classes
        if variant:
            place = sorted(dates).index(dates[file])
            x = np.column_stack([x, np.full(len(x), place, np.float32)])
        if normal_by:
            classes = np.where(classes == "Benign", dates[file], classes)
        yield flows.Block(x, classes, part.read)


def _files(data_path: str | Path | None) -> list[Path]:
    """Files of all days; a plain file takes precedence over its gzipped form."""
    folder = files.data_folder(data_path) / FOLDER
    paths = {path.stem: path for path in folder.glob("*.csv.gz")}
    paths |= {path.name: path for path in folder.glob("*.csv")}
    return [paths[name] for name in sorted(paths)]
