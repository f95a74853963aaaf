"""CIC-IDS2017 (Sharafaldin et al., 2018), corrected by Liu et al. (2022): network flows."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from libs.datasets.dataset import DataSet
from libs.datasets.readers import files, flows
from libs.datasets.splits.rows import collect_blocks
from libs.utils import storage
from libs.utils.errors import UserError

SOURCE = "https://intrusion-detection.distrinet-research.be/CNS2022/CICIDS2017.html"
FILE = "IDS2017/cicids2017_improved_sample.parquet"
ROWS = 100_000
"""Rows of one block."""

NUMBERS = """
Dst Port, Flow Duration, Total Fwd Packet, Total Bwd packets, Total Length of Fwd Packet,
Total Length of Bwd Packet, Fwd Packet Length Max, Fwd Packet Length Min, Fwd Packet Length Mean,
Fwd Packet Length Std, Bwd Packet Length Max, Bwd Packet Length Min, Bwd Packet Length Mean,
Bwd Packet Length Std, Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max,
Flow IAT Min, Fwd IAT Total, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min, Bwd IAT Total,
Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min, Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags,
Bwd URG Flags, Fwd RST Flags, Bwd RST Flags, Fwd Header Length, Bwd Header Length, Fwd Packets/s,
Bwd Packets/s, Packet Length Min, Packet Length Max, Packet Length Mean, Packet Length Std,
Packet Length Variance, FIN Flag Count, SYN Flag Count, RST Flag Count, PSH Flag Count,
ACK Flag Count, URG Flag Count, CWR Flag Count, ECE Flag Count, Down/Up Ratio,
Average Packet Size, Fwd Segment Size Avg, Bwd Segment Size Avg, Fwd Bytes/Bulk Avg,
Fwd Packet/Bulk Avg, Fwd Bulk Rate Avg, Bwd Bytes/Bulk Avg, Bwd Packet/Bulk Avg,
Bwd Bulk Rate Avg, Subflow Fwd Packets, Subflow Fwd Bytes, Subflow Bwd Packets,
Subflow Bwd Bytes, FWD Init Win Bytes, Bwd Init Win Bytes, Fwd Act Data Pkts, Fwd Seg Size Min,
Active Mean, Active Std, Active Max, Active Min, Idle Mean, Idle Std, Idle Max, Idle Min,
ICMP Code, ICMP Type, Total TCP Flow Time
"""
ATTACKS = {
    "Botnet": "Bot",
    "FTP-Patator": "BruteForce",
    "SSH-Patator": "BruteForce",
    "DDoS": "DDoS",
    "DoS GoldenEye": "DoS",
    "DoS Hulk": "DoS",
    "DoS Slowhttptest": "DoS",
    "DoS Slowloris": "DoS",
    "Heartbleed": "DoS",
    "Infiltration": "Infiltration",
    "Infiltration - Portscan": "Infiltration",
    "Portscan": "PortScan",
    "Web Attack - Brute Force": "WebAttacks",
    "Web Attack - SQL Injection": "WebAttacks",
    "Web Attack - XSS": "WebAttacks",
}
ATTEMPTED = {f"{label} - Attempted": "Attempted" for label in ATTACKS}
LAYOUT = flows.Layout(
    numbers=[" ".join(name.split()) for name in NUMBERS.split(",")],
    unused=["id", "Flow ID", "Src IP", "Src Port", "Dst IP", "Timestamp", "Attempted Category"],
    protocols=["0", "1", "6", "17"],
    families={"BENIGN": "Benign"} | ATTACKS | ATTEMPTED,
)


NORMAL_BY = "day"
VARIANTS = ("day",)
DAYS = tuple(f"2017-07-0{day}" for day in range(3, 8))
"""From Monday to Friday; ARGUE's normal classes."""
_DAY_NUMBERS = {day: str(i) for i, day in enumerate(DAYS)}


def load(
    data_path: str | Path | None = None, variant: str = "", normal_by: str | None = None
) -> DataSet:
    """Load the flows; there is no official test split.

    These columns are not features, as they identify the attackers and victims of this network, the
    hour of each attack, or the label itself: id, Flow ID, Src IP, Src Port, Dst IP,
    Timestamp, Attempted Category. Dst Port stays, as it does in CSE-CIC-IDS2018. Heartbleed counts
    as DoS. Flows of an attack that carry none of its payload (labels that end in "- Attempted";
    the sample has none) are a class of their own, Attempted, neither benign nor an attack. Rows
    with NaN or Infinity are dropped; negative header lengths are kept as published. Unlike 2018
    there are flows of ICMP, protocol 1. Infiltration is almost all "Infiltration - Portscan"
    (7,329 flows against 36).

    With normal_by="day" (ARGUE's experts) the class of a benign flow is its date. In the variant
    "day" the days since the first are an input as well, which gives attacks away by their date.

    Returns
    -------
    DataSet
        x (n, 86) float32; classes Benign, Bot, BruteForce, DDoS, DoS, Infiltration, PortScan,
        WebAttacks, and Attempted where there are such flows. Always a sample.
    """
    path = files.find_file(data_path, FILE, SOURCE)
    layout = replace(LAYOUT, numbers=[*LAYOUT.numbers, variant]) if variant else LAYOUT
    frames = _blocks(path, dated=bool(normal_by or variant))
    if not normal_by:
        frames = (frame.drop(columns="date", errors="ignore") for frame in frames)
    parts = list(flows.clean_blocks(path, frames, layout))
    rows = sum(len(part.x) for part in parts)
    flows.log_dropped(path, rows, sum(part.read for part in parts))
    return DataSet(
        name=f"ids2017+{variant}-sample" if variant else "ids2017-sample",
        x=collect_blocks((part.x for part in parts), (rows, len(layout.features))),
        classes=np.concatenate([part.classes for part in parts]),
        features=layout.features,
        fingerprint=storage.sha256(path),
        normal_by=normal_by,
    )


def _blocks(path: Path, dated: bool) -> Iterator[pd.DataFrame]:
    """Yield the rows of a Parquet file in blocks; the index counts its rows from 1.

    If ``dated``, with the text ``date`` of each flow and ``day``, its index in `DAYS`.
    """
    wanted = [*LAYOUT.numbers, "Protocol", "Label", *(["Timestamp"] if dated else [])]
    start = 1
    try:
        table = pl.scan_parquet(path)
        _check_schema(path, table.collect_schema())
        text = [name for name in wanted if name not in LAYOUT.numbers]
        table = table.select(pl.col(LAYOUT.numbers).cast(pl.Float32), pl.col(text).cast(pl.String))
        for batch in table.collect_batches(chunk_size=ROWS, maintain_order=True):
            frame = pd.DataFrame(batch[LAYOUT.numbers].to_numpy(), columns=LAYOUT.numbers)
            frame = frame.assign(**{name: batch[name].to_list() for name in text})
            frame = frame.set_axis(pd.RangeIndex(start, start + len(frame), name="row"))
            if dated:
                frame["date"] = frame["Timestamp"].str[:10]
                days = files.map_labels(frame, "date", _DAY_NUMBERS, path)
                frame["day"] = days.astype(np.float32)
            yield frame
            start += len(frame)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}). Get the file again.") from error
    if start == 1:
        raise UserError(f"{path} holds no rows: expected rows of {len(wanted)} columns.")


def _check_schema(path: Path, schema: pl.Schema) -> None:
    """Check that the file has the published columns with their types, and no others."""
    wanted = {*LAYOUT.numbers, "Protocol", "Label"}
    missing = sorted(wanted - set(schema))
    foreign = sorted(set(schema) - wanted - set(LAYOUT.unused))
    if missing or foreign:
        raise UserError(
            f"{path}: expected the {len(wanted)} published columns; missing: "
            f"{', '.join(missing) or 'none'}; unknown: {', '.join(foreign) or 'none'}. "
            "Get the file again."
        )
    for name in LAYOUT.numbers:
        kind = schema[name]
        if not (kind.is_integer() or kind.is_float()):
            raise UserError(
                f"{path}, column {name!r}: expected numbers, found values of the type "
                f"{kind}. Get the file again."
            )
