"""CIC-Darknet2020 (Habibi Lashkari et al., 2020): network flows, some through Tor or a VPN."""

from pathlib import Path

import numpy as np

from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, files, flows
from libs.utils import storage

SOURCE = "https://www.unb.ca/cic/datasets/darknet2020.html"
FILE = "darknet/Darknet.CSV"
PUBLISHED_ROWS = 141_530
"""Rows with NaN or Infinity included."""

NUMBERS = """
Src Port, Dst Port, Protocol, Flow Duration, Total Fwd Packet, Total Bwd packets,
Total Length of Fwd Packet, Total Length of Bwd Packet, Fwd Packet Length Max,
Fwd Packet Length Min, Fwd Packet Length Mean, Fwd Packet Length Std, Bwd Packet Length Max,
Bwd Packet Length Min, Bwd Packet Length Mean, Bwd Packet Length Std, Flow Bytes/s,
Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max, Flow IAT Min, Fwd IAT Total,
Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min, Bwd IAT Total, Bwd IAT Mean, Bwd IAT Std,
Bwd IAT Max, Bwd IAT Min, Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags, Bwd URG Flags,
Fwd Header Length, Bwd Header Length, Fwd Packets/s, Bwd Packets/s, Packet Length Min,
Packet Length Max, Packet Length Mean, Packet Length Std, Packet Length Variance, FIN Flag Count,
SYN Flag Count, RST Flag Count, PSH Flag Count, ACK Flag Count, URG Flag Count, CWE Flag Count,
ECE Flag Count, Down/Up Ratio, Average Packet Size, Fwd Segment Size Avg, Bwd Segment Size Avg,
Fwd Bytes/Bulk Avg, Fwd Packet/Bulk Avg, Fwd Bulk Rate Avg, Bwd Bytes/Bulk Avg,
Bwd Packet/Bulk Avg, Bwd Bulk Rate Avg, Subflow Fwd Packets, Subflow Fwd Bytes,
Subflow Bwd Packets, Subflow Bwd Bytes, FWD Init Win Bytes, Bwd Init Win Bytes, Fwd Act Data Pkts,
Fwd Seg Size Min, Active Mean, Active Std, Active Max, Active Min, Idle Mean, Idle Std, Idle Max,
Idle Min
"""
FEATURES = [name.strip() for name in NUMBERS.split(",")]
UNUSED = ["Flow ID", "Src IP", "Dst IP", "Timestamp", "Label.1"]
"""Label.1, the second column called Label, holds the application."""
NORMAL_BY = "Protocol"
CLASSES = {name: name for name in ("Non-Tor", "NonVPN", "Tor", "VPN")}
NORMAL = ("Non-Tor", "NonVPN")


def load(data_path: str | Path | None = None, normal_by: str | None = None) -> DataSet:
    """Load the flows, plain or gzipped; there is no official test split.

    Ports and protocol stay numbers. Rows with NaN or Infinity are dropped. With
    normal_by="Protocol" (ARGUE's experts) flows without Tor or VPN have the classes "0", "6" (TCP)
    and "17" (UDP).

    Returns
    -------
    DataSet
        x (n, 79) float32; classes Non-Tor, NonVPN, Tor, VPN.
    """
    path = files.find_file(data_path, FILE, SOURCE)
    raw = blocks.read_table(path, FEATURES, ["Label"], UNUSED, gaps=True)
    files.map_labels(raw, "Label", CLASSES, path)  # labels of dropped rows count as well
    frame = flows.drop_incomplete(raw, path)
    classes = files.map_labels(frame, "Label", CLASSES, path)
    if normal_by:
        own = frame[normal_by].to_numpy().astype(int).astype(str)
        classes = np.where(np.isin(classes, NORMAL), own, classes)
    return DataSet(
        name="darknet" if len(raw) == PUBLISHED_ROWS else "darknet-sample",
        x=frame[FEATURES].to_numpy(np.float32),
        classes=classes,
        features=tuple(FEATURES),
        fingerprint=storage.sha256(path),
        normal_by=normal_by,
    )
