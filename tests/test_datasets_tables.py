"""Loaders of tables with a header: the published layouts, quirks included, and what is wrong."""

import gzip
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from libs.datasets import creditcard, ids, ids2017
from libs.datasets import registry as datasets
from libs.datasets.dataset import DataSet
from libs.datasets.readers import blocks, cache, delimited
from libs.datasets.splits import rows
from libs.utils.errors import UserError


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    """Lines of text; gzipped if the name says so."""
    path.parent.mkdir(exist_ok=True)
    text = end.join(lines) + end
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def replaced(lines: list[str], row: int, column: int, value: str) -> list[str]:
    """The lines with one cell changed; the header is row 1."""
    cells = lines[row - 1].split(",")
    cells[column] = value
    return [*lines[: row - 1], ",".join(cells), *lines[row:]]


# Credit card: quoted header and quoted class, as from Kaggle.
CARD_HEADER = ",".join(f'"{c}"' for c in ["Time", *creditcard.FEATURES, "Class"])
CARD = [CARD_HEADER] + [
    ",".join([str(i), *(f"{0.5 * i + j}" for j in range(28)), "149.62", f'"{int(i % 3 == 0)}"'])
    for i in range(1, 10)
]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_creditcard_layout(tmp_path, suffix, end):
    write(tmp_path / f"{creditcard.FILE}{suffix}", CARD, end)
    data = datasets.load("creditcard", tmp_path)
    assert data.name == "creditcard-sample"
    assert (data.x.shape, data.x.dtype) == ((9, 29), np.float32)
    assert data.features == (*(f"V{i}" for i in range(1, 29)), "Amount")
    assert data.x[1].tolist() == pytest.approx([*(1.0 + j for j in range(28)), 149.62])
    assert list(data.classes) == list("001001001")
    assert data.x_test is None
    assert data.classes_test is None


def test_creditcard_without_quotes(tmp_path):
    write(tmp_path / creditcard.FILE, [line.replace('"', "") for line in CARD])
    assert list(datasets.load("creditcard", tmp_path).classes) == list("001001001")


def test_real_creditcard_is_a_sample(raw_data):
    data = datasets.load("creditcard", raw_data)
    assert (data.name, data.x.shape) == ("creditcard-sample", (12_048, 29))
    assert dict(zip(*np.unique(data.classes, return_counts=True), strict=True)) == {
        "0": 11_556,
        "1": 492,
    }


@pytest.mark.parametrize("size", [1000, 2**25])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (replaced(CARD, 5, 2, "nan"), r"line 5, column 'V2': expected a finite .*found 'nan'"),
        (replaced(CARD, 5, 2, "Infinity"), r"line 5, column 'V2': .*found 'Infinity'"),
        (replaced(CARD, 5, 2, "lots"), r"line 5, column 'V2': .*found 'lots'"),
        (replaced(CARD, 5, 2, ""), r"line 5, column 'V2': .*found ''"),
        (replaced(CARD, 5, 2, "1e39"), r"line 5, column 'V2': .*found '1e39'"),
        (replaced(CARD, 5, 30, '"2"'), r"line 5, column 'Class': unknown label '2'"),
        (replaced(CARD, 5, 30, ""), r"line 5, column 'Class': expected text, found ''"),
        (replaced(CARD, 5, 30, '"0",1'), r"line 5: expected 31 columns, found 32"),
        ([*CARD[:4], "1,2,3"], r"line 5: expected 31 columns, found 3"),
        (replaced(CARD, 1, 2, '"W2"'), r"line 1: .*missing: V2; unknown: W2"),
        (replaced(CARD, 1, 2, '"V1"'), r"line 1: .*missing: V2; unknown: V1\.1"),
        ([line + ",1" for line in CARD], r"line 1: .*unknown: 1\b"),
        (CARD[1:], r"line 1: expected a header"),
        (CARD[:1], r"holds no rows"),
        ([""], r"line 1: expected a header"),
    ],
)
def test_creditcard_errors_name_the_place(tmp_path, monkeypatch, lines, message, size):
    monkeypatch.setattr(delimited, "PIECE", size)
    path = write(tmp_path / creditcard.FILE, lines)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("creditcard", tmp_path)
    assert str(path) in str(error.value)


def test_creditcard_truncated_gzip(tmp_path):
    path = write(tmp_path / f"{creditcard.FILE}.gz", CARD)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"creditcard\.csv\.gz is truncated"):
        datasets.load("creditcard", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("creditcard", r"creditcard/creditcard\.csv.*https://.*--data_path.*A3_DATA"),
        ("ids", r"IDS/\*\.csv.*IDS2017/.*\.parquet.*https://.*--data_path.*A3_DATA"),
        ("ids2017", r"IDS2017/.*\.parquet.*https://.*--data_path.*A3_DATA"),
    ],
)
def test_missing_file_says_what_to_do(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        datasets.load(name, tmp_path)


# CSE-CIC-IDS2018: 80 columns; the file of one day has four more in front.
IDS_COLUMNS = ["Dst Port", "Protocol", "Timestamp", *ids.LAYOUT.numbers[1:], "Label"]
IDS_HEADER = ",".join(IDS_COLUMNS)
FLOW_BYTES = IDS_COLUMNS.index("Flow Byts/s")


def flow(label: str, protocol: str = "6", port: int = 80) -> str:
    """A flow whose numbers are their own places."""
    places = map(str, range(1, len(ids.LAYOUT.numbers)))
    return ",".join([str(port), protocol, "14/02/2018 08:31:01", *places, label])


LABELS = list(ids.FAMILIES)
DAY = [IDS_HEADER, *map(flow, LABELS)]


def test_ids_layout_with_every_quirk(tmp_path, monkeypatch, caplog):
    """Repeated headers, NaN, Infinity, empty cells, one day with addresses, gzip, CRLF."""
    monkeypatch.setattr(delimited, "PIECE", 1000)
    caplog.set_level(logging.INFO, "a3")
    quirks = [IDS_HEADER, flow("Benign", "17", 53), IDS_HEADER, IDS_HEADER, flow("Bot", "0")]
    for value in ("Infinity", "NaN", "-Infinity", ""):
        quirks += replaced([IDS_HEADER, flow("Benign")], 2, FLOW_BYTES, value)
    addresses = [f"Flow ID,Src IP,Src Port,Dst IP,{IDS_HEADER}"]
    addresses += [f"1-2-3,172.31.69.25,443,18.219.193.20,{flow(label)}" for label in LABELS]
    write(tmp_path / "IDS/Friday-02-03-2018_TrafficForML_CICFlowMeter.csv", quirks, "\r\n")
    write(tmp_path / "IDS/Tuesday-20-02-2018_TrafficForML_CICFlowMeter.csv", addresses)
    write(tmp_path / "IDS/Wednesday-14-02-2018_TrafficForML_CICFlowMeter.csv.gz", [*DAY, " "])
    data = datasets.load("ids", tmp_path)
    assert data.name == "ids-sample"
    assert (data.x.shape, data.x.dtype) == ((2 + 2 * len(LABELS), 80), np.float32)
    assert len(data.features) == 80
    assert list(data.classes) == ["Benign", "Bot", *list(ids.FAMILIES.values()) * 2]
    row = dict(zip(data.features, data.x[0], strict=True))
    assert (row["Dst Port"], row["Flow Duration"], row["Idle Min"]) == (53, 1, 76)
    assert [row[f"Protocol={p}"] for p in ids.LAYOUT.protocols] == [0, 0, 1]
    assert not {"Timestamp", "Src Port", "Src IP", "Dst IP", "Flow ID"} & set(row)
    assert np.array_equal(data.x[2:17], data.x[17:]), "extra columns change nothing"
    assert "4 of 6 rows dropped" in caplog.text
    assert len(data.fingerprint) == 64


def test_ids_reads_a_plain_file_once(tmp_path):
    write(tmp_path / "IDS/day.csv", DAY)
    write(tmp_path / "IDS/day.csv.gz", DAY)
    assert len(datasets.load("ids", tmp_path).x) == len(LABELS)


def test_ids_published_rows_include_dropped_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(ids, "PUBLISHED_ROWS", len(LABELS))
    write(tmp_path / "IDS/day.csv", replaced(DAY, 2, FLOW_BYTES, "NaN"))
    data = datasets.load("ids", tmp_path)
    assert (data.name, len(data.x)) == ("ids", len(LABELS) - 1)


@pytest.mark.parametrize("size", [1000, 2**25])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (replaced(DAY, 6, FLOW_BYTES, "fast"), r"line 6, column 'Flow Byts/s': .*found 'fast'"),
        (replaced(DAY, 6, 1, "41"), r"line 6, column 'Protocol': expected one of 3 .*found '41'"),
        (replaced(DAY, 6, 79, "Smurf"), r"line 6, column 'Label': unknown label 'Smurf'"),
        (
            replaced([*DAY[:3], IDS_HEADER, *DAY[3:]], 7, 79, "Smurf"),
            r"line 7, column 'Label': unknown label 'Smurf'",
        ),
        (replaced(replaced(DAY, 6, 79, "Smurf"), 6, FLOW_BYTES, "NaN"), r"line 6, .*'Smurf'"),
        (
            replaced(replaced(DAY, 7, 5, "much"), 6, FLOW_BYTES, "NaN"),
            r"line 7, column 'Tot Bwd Pkts': .*found 'much'",
        ),
        ([*DAY[:5], "80,6,14/02"], r"line 6: expected 80 columns, found 3"),
        ([*DAY[:5], DAY[5] + ",1", DAY[6][2:], *DAY[7:]], r"line 6: expected 80 .*found 81"),
        ([*DAY[:5], DAY[5][3:], DAY[6] + ",1", *DAY[7:]], r"line 6: expected 80 .*found 79"),
        ([*DAY[:5], f"1,2,{IDS_HEADER}", *DAY[6:]], r"line 6: expected 80 columns, found 82"),
        ([*DAY[:5], f"{IDS_HEADER},1", *DAY[6:]], r"line 6: expected 80 columns, found 81"),
        (replaced(DAY, 1, 5, "Packets"), r"line 1: .*missing: Tot Bwd Pkts; unknown: Packets"),
        ([IDS_HEADER, IDS_HEADER], r"holds no rows"),
    ],
)
def test_ids_errors_name_the_place(tmp_path, monkeypatch, lines, message, size):
    monkeypatch.setattr(delimited, "PIECE", size)
    path = write(tmp_path / "IDS/day.csv", lines)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("ids", tmp_path)
    assert str(path) in str(error.value)


@pytest.fixture
def days(tmp_path, monkeypatch) -> Path:
    """A folder of two days in several blocks; caches elsewhere lie in its folder ``home``."""
    monkeypatch.setattr(delimited, "PIECE", 2000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    write(tmp_path / "IDS/one.csv", [*DAY, IDS_HEADER, *DAY[1:]])
    write(tmp_path / "IDS/two.csv.gz", replaced(DAY, 2, FLOW_BYTES, "NaN"))
    return tmp_path


def same(a: DataSet, b: DataSet) -> bool:
    """Whether all that two data sets hold is equal."""
    arrays = np.array_equal(a.x, b.x) and np.array_equal(a.classes, b.classes)
    return arrays and (a.name, a.features, a.fingerprint) == (b.name, b.features, b.fingerprint)


@pytest.fixture
def unread(monkeypatch):
    """Make reading a raw file fail."""

    def fail(*args, **options):
        raise AssertionError("a raw file was read")

    return lambda: monkeypatch.setattr(blocks, "read_blocks", fail)


def test_ids_second_start_reads_the_cache(days, unread, caplog):
    caplog.set_level(logging.INFO, "a3")
    first = datasets.load("ids", days)
    kept = sorted(p.name for p in (days / "IDS" / cache.FOLDER).glob("*.zip"))
    assert kept == ["one.csv.zip", "two.csv.gz.zip"]
    caplog.clear()
    unread()
    assert same(datasets.load("ids", days), first)
    assert "1 of 15 rows dropped" in caplog.text


def test_ids_cache_follows_the_raw_file(days):
    first = datasets.load("ids", days)
    write(days / "IDS/one.csv", replaced(DAY, 2, 0, "4444"))
    second = datasets.load("ids", days)
    assert (len(first.x), len(second.x)) == (44, 29)
    assert second.x[0, 0] == 4444
    assert first.fingerprint != second.fingerprint
    write(days / "IDS/one.csv", replaced(DAY, 2, 79, "Smurf"))
    with pytest.raises(UserError, match=r"line 2, column 'Label': unknown label 'Smurf'"):
        datasets.load("ids", days)


def test_ids_cache_follows_the_content(days):
    """Another number of the same length, and the time of change put back."""
    first, path = datasets.load("ids", days), days / "IDS/one.csv"
    before, cell = path.stat(), DAY[1].split(",")[0]
    changed = replaced(DAY, 2, 0, "7" * len(cell))
    write(path, [*changed, IDS_HEADER, *DAY[1:]])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    second = datasets.load("ids", days)
    assert second.x[0, 0] == float("7" * len(cell)) != first.x[0, 0]


@pytest.mark.parametrize("place", [4, 0.3, 0.7, -4, None])
def test_ids_damaged_cache_is_made_again(days, unread, place):
    """One byte is changed: in the head, in blocks, in the foot; or half of the file is gone."""
    first = datasets.load("ids", days)
    path = days / "IDS" / cache.FOLDER / "one.csv.zip"
    content = bytearray(path.read_bytes())
    if place is None:
        content = content[: len(content) // 2]
    else:
        content[int(place * len(content)) if isinstance(place, float) else place] ^= 255
    path.write_bytes(content)
    assert same(datasets.load("ids", days), first)
    assert same(datasets.load("ids", days), first)
    unread()
    assert same(datasets.load("ids", days), first)


@pytest.mark.parametrize("home", [True, False])
def test_ids_without_a_place_beside_the_raw_files(days, caplog, home):
    """The cache goes to the user's folder of caches, and where that fails too, nothing does."""
    expected = datasets.load("ids", days)
    shutil.rmtree(days / "IDS" / cache.FOLDER)
    (days / "IDS" / cache.FOLDER).write_text("in the way")
    if not home:
        (days / "home").write_text("in the way")
    assert same(datasets.load("ids", days), expected)
    assert same(datasets.load("ids", days), expected)
    assert "no cache in" in caplog.text
    assert len(list(days.glob("home/a3/*/*.zip"))) == (2 if home else 0)


def test_ids_larger_than_memory_is_a_mapped_file(days, monkeypatch):
    expected = datasets.load("ids", days)
    monkeypatch.setattr(rows, "HELD_BYTES", 1000)
    mapped = datasets.load("ids", days)
    assert isinstance(mapped.x, np.memmap)
    assert same(mapped, expected)
    assert {p.suffix for p in days.rglob("*") if p.is_file()} == {".csv", ".gz", ".zip", ""}


def flows2017(**changes) -> pd.DataFrame:
    """One flow of every label that the sample holds, the columns of the file."""
    labels = ["BENIGN", *ids2017.ATTACKS]
    columns = {
        "Src IP": "172.16.0.1",
        "Src Port": 4444,
        "Dst IP": "192.168.10.50",
        "Protocol": np.resize([6, 17, 0, 1], len(labels)),
        "Timestamp": "2017-07-06 12:39:06.818901",
    }
    columns |= {c: np.arange(len(labels)) + i for i, c in enumerate(ids2017.LAYOUT.numbers)}
    return pd.DataFrame(columns | {"Label": labels} | changes)


def write2017(folder: Path, frame: pd.DataFrame) -> Path:
    path = folder / ids2017.FILE
    path.parent.mkdir(exist_ok=True)
    kinds = {"i": pl.Int64, "f": pl.Float64}
    columns = [
        pl.Series(name, column.to_list(), kinds.get(column.to_numpy().dtype.kind, pl.String))
        for name, column in frame.items()
    ]
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["ids", "ids2017", "ids2017-sample"])
def test_ids2017_layout(tmp_path, monkeypatch, name):
    monkeypatch.setattr(ids2017, "ROWS", 5)
    write2017(tmp_path, flows2017())
    data = datasets.load(name, tmp_path)
    assert data.name == "ids2017-sample"
    assert (data.x.shape, data.x.dtype) == ((16, 86), np.float32)
    assert list(data.classes) == ["Benign", *ids2017.ATTACKS.values()]
    row = dict(zip(data.features, data.x[15], strict=True))
    assert (row["Dst Port"], row["Total TCP Flow Time"]) == (15, 15 + 81)
    assert [row[f"Protocol={p}"] for p in ids2017.LAYOUT.protocols] == [0, 1, 0, 0]
    assert not set(ids2017.LAYOUT.unused) & set(row)


def test_ids2017_columns_that_leak_are_dropped_and_attempts_kept_apart(tmp_path):
    labels = ["BENIGN", *ids2017.ATTEMPTED]
    frame = flows2017(Label=labels).assign(**{"id": 1, "Flow ID": "a", "Attempted Category": 3})
    frame["Flow Bytes/s"] = [np.nan, np.inf, *range(14)]
    write2017(tmp_path, frame)
    data = datasets.load("ids2017", tmp_path)
    assert data.x.shape == (14, 86)
    assert set(data.classes) == {"Attempted"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="Label"), r"missing: Label; unknown: none"),
        (lambda f: f.assign(Verdict=1), r"missing: none; unknown: Verdict"),
        (lambda f: f.astype({"Idle Min": str}), r"column 'Idle Min': expected numbers, found"),
        (lambda f: f.assign(Label="Smurf"), r"row 1, column 'Label': unknown label 'Smurf'"),
        (lambda f: f.assign(Protocol=range(16)), r"row 3, column 'Protocol': .*found '2'"),
        (lambda f: f.iloc[:0], r"holds no rows"),
    ],
)
def test_ids2017_errors_name_the_place(tmp_path, change, message):
    path = write2017(tmp_path, change(flows2017()))
    with pytest.raises(UserError, match=message) as error:
        datasets.load("ids2017", tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_ids2017_truncated(tmp_path, keep):
    path = write2017(tmp_path, flows2017())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"\.parquet is truncated or damaged"):
        datasets.load("ids2017", tmp_path)


def test_real_ids2017(raw_data):
    data = datasets.load("ids", raw_data)
    assert (data.name, data.x.shape) == ("ids2017-sample", (56_277, 86))
    assert dict(zip(*np.unique(data.classes, return_counts=True), strict=True)) == {
        "Benign": 7_492,
        "Bot": 736,
        "BruteForce": 6_933,
        "DDoS": 7_362,
        "DoS": 18_874,
        "Infiltration": 7_329 + 36,
        "PortScan": 7_411,
        "WebAttacks": 104,
    }
