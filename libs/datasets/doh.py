"""CIRA-CIC-DoHBrw-2020 (MontazeriShatoori et al., 2020): flows of DNS over HTTPS."""

from pathlib import Path

import numpy as np
import pandas as pd

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files, flows
from libs.utils import storage
from libs.utils.errors import UserError

SOURCE = "https://www.unb.ca/cic/datasets/dohbrw-2020.html"
FILES = ("doh/l2-benign.csv", "doh/l2-malicious.csv")
PUBLISHED_ROWS = 19_807 + 249_836
"""Rows with NaN or Infinity included."""

_STATISTICS = (
    "Variance StandardDeviation Mean Median Mode SkewFromMedian SkewFromMode CoefficientofVariation"
)
FEATURES = [
    *"Duration FlowBytesSent FlowSentRate FlowBytesReceived FlowReceivedRate".split(),
    *(
        f"{what}{statistic}"
        for what in ("PacketLength", "PacketTime", "ResponseTimeTime")
        for statistic in _STATISTICS.split()
    ),
]
UNUSED = ["SourceIP", "DestinationIP", "SourcePort", "DestinationPort"]
NORMAL_BY = "week"
VARIANTS = ("week",)
CLASSES = {"Benign": "Benign", "Malicious": "Malicious"}


def load(
    data_path: str | Path | None = None, variant: str = "", normal_by: str | None = None
) -> DataSet:
    """Load both files, plain or gzipped; there is no official test split.

    Addresses, ports and time are dropped, and rows with NaN or Infinity. With normal_by="week"
    (ARGUE's experts) the class of a benign flow is its ISO week ("2", "3", "50", "51"). In the
    variant "week" that number is an input as well, which gives attacks away by their date.

    Returns
    -------
    DataSet
        x (n, 29) float32; classes Benign, Malicious.
    """
    paths = [files.find_file(data_path, name, SOURCE) for name in FILES]
    parts = [_read(path) for path in paths]
    frame = pd.concat([part for part, _ in parts])
    classes = frame["Label"].to_numpy(dtype=str)
    if normal_by:
        classes = np.where(classes == "Benign", frame[normal_by].astype(str), classes).astype(str)
    features = [*FEATURES, variant] if variant else FEATURES
    complete = sum(rows for _, rows in parts) == PUBLISHED_ROWS
    name = f"doh+{variant}" if variant else "doh"
    return DataSet(
        name=name if complete else f"{name}-sample",
        x=frame[features].to_numpy(np.float32),
        classes=classes,
        features=tuple(features),
        fingerprint="".join(storage.sha256(path)[:32] for path in paths),
        normal_by=normal_by,
    )


def _read(path: Path) -> tuple[pd.DataFrame, int]:
    """Complete rows of one file with their ISO ``week``, and how many rows it holds."""
    raw = blocks.read_table(path, FEATURES, ["TimeStamp", "Label"], UNUSED, gaps=True)
    files.map_labels(raw, "Label", CLASSES, path)
    time = pd.to_datetime(raw["TimeStamp"], errors="coerce", format="ISO8601")
    bad = raw.index[time.isna()]
    if len(bad):
        raise UserError(
            f"{path}, line {bad[0]}, column 'TimeStamp': expected a time such as 2020-01-14 "
            f"15:49:11, found {raw['TimeStamp'].loc[bad[0]]!r}. Get the file again."
        )
    frame = flows.drop_incomplete(raw, path)
    return frame.assign(week=time.dt.isocalendar().week.astype(int)), len(raw)
