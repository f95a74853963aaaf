"""Loaders: real files where they are at hand, and every way in which a file can be wrong."""

import gzip

import numpy as np
import pytest

from libs.datasets import nslkdd
from libs.datasets import registry as datasets
from libs.utils.errors import UserError

LINE = (
    "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,0.00,"
    "9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00,{label},20"
)
LABELS = ["normal", "neptune", "satan", "guess_passwd", "rootkit"]


def write_nslkdd(folder, lines_train=None, lines_test=None, zipped=False):
    """Files in the published layout: no header, comma-separated, 43 columns."""
    default = [LINE.format(label=label) for label in LABELS * 4]
    (folder / "NSL-KDD").mkdir(exist_ok=True)
    for name, lines in zip(nslkdd.FILES, (lines_train, lines_test), strict=True):
        text = "\n".join(default if lines is None else lines) + "\n"
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_nslkdd_layout(tmp_path, zipped):
    data = datasets.load("nslkdd", write_nslkdd(tmp_path, zipped=zipped))
    assert data.x.shape == (20, 122)
    assert data.x.dtype == np.float32
    assert len(data.features) == 122
    assert data.name == "nslkdd-sample"
    assert list(data.classes[:5]) == ["normal", "DoS", "Probe", "R2L", "U2R"]
    row = dict(zip(data.features, data.x[0], strict=True))
    assert (row["src_bytes"], row["dst_bytes"], row["same_srv_rate"]) == (181, 5450, 1)
    assert (row["service=http"], row["flag=SF"], row["protocol_type=udp"]) == (1, 1, 0)
    assert "difficulty" not in row


@pytest.mark.slow
def test_nslkdd_is_complete(raw_data):
    data = datasets.load("nslkdd", raw_data)
    assert data.name == "nslkdd"
    assert (data.x.shape, data.x_test.shape) == ((125_973, 122), (22_544, 122))
    counts = dict(zip(*np.unique(data.classes, return_counts=True), strict=True))
    assert counts == {"DoS": 45927, "Probe": 11656, "R2L": 995, "U2R": 52, "normal": 67343}
    counts = dict(zip(*np.unique(data.classes_test, return_counts=True), strict=True))
    assert sum(counts.values()) == 22_544
    assert counts["normal"] == 9711


def test_data_path_comes_before_the_environment(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.setenv("A3_DATA", str(tmp_path / "nowhere"))
    assert len(datasets.load("nslkdd", write_nslkdd(tmp_path / "one")).x) == 20
    monkeypatch.setenv("A3_DATA", str(tmp_path / "one"))
    assert len(datasets.load("nslkdd").x) == 20


def _replaced(column: int, value: str, row: int = 7) -> list[str]:
    lines = [LINE.format(label=label) for label in LABELS * 4]
    cells = lines[row - 1].split(",")
    cells[column] = value
    lines[row - 1] = ",".join(cells)
    return lines


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (_replaced(4, "nan"), r"line 7, column 'src_bytes'.*finite number, found 'nan'"),
        (_replaced(4, "lots"), r"line 7, column 'src_bytes'.*found 'lots'"),
        (_replaced(4, "inf"), r"line 7, column 'src_bytes'.*found 'inf'"),
        (_replaced(4, "1e39"), r"line 7, column 'src_bytes'.*found '1e39'"),
        (_replaced(4, ""), r"line 7, column 'src_bytes'.*found ''"),
        (_replaced(2, "gopher9"), r"line 7, column 'service'.*found 'gopher9'"),
        (_replaced(2, ""), r"line 7, column 'service'.*found ''"),
        (_replaced(41, "NA"), r"line 7, column 'label': unknown label 'NA'"),
        (_replaced(41, "nan"), r"line 7, column 'label': unknown label 'nan'"),
        (_replaced(41, ""), r"line 7, column 'label'.*expected text, found ''"),
        (_replaced(41, "teapot"), r"line 7, column 'label': unknown label 'teapot'"),
        (_replaced(42, "20,1"), r"line 7: expected 43 columns, found 44"),
        (_replaced(42, "20,1", row=1), r"line 1: expected 43 columns, found 44"),
        ([*_replaced(4, "1")[:7], "0,tcp,http,SF,1"], r"line 8: expected 43 columns, found 5"),
        ([], r"empty"),
    ],
)
def test_nslkdd_errors_name_the_place(tmp_path, lines, message):
    if not lines:
        write_nslkdd(tmp_path)
        (tmp_path / nslkdd.FILES[0]).write_text("")
    else:
        write_nslkdd(tmp_path, lines_train=lines)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("nslkdd", tmp_path)
    assert "KDDTrain+" in str(error.value)


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"KDDTrain\+\.txt.*https://.*--data_path.*A3_DATA"):
        datasets.load("nslkdd", tmp_path)
    with pytest.raises(UserError, match="unknown data set 'nothing'; expected one of digits"):
        datasets.load("nothing")


@pytest.mark.parametrize("damage", ["cut", "flip", "text"])
def test_damaged_gzip(tmp_path, damage):
    path = write_nslkdd(tmp_path, zipped=True) / f"{nslkdd.FILES[0]}.gz"
    content = path.read_bytes()
    flipped = content[:40] + bytes([content[40] ^ 255]) + content[41:]
    damages = {"cut": content[: len(content) // 2], "flip": flipped, "text": b"not gzip"}
    path.write_bytes(damages[damage])
    with pytest.raises(UserError, match=r"KDDTrain\+"):
        datasets.load("nslkdd", tmp_path)


def test_digits():
    data = datasets.load("digits")
    assert data.x.shape == (1797, 8, 8, 1)
    assert (data.x.min(), data.x.max(), data.maximum) == (0, 16, 16)
    assert sorted(set(data.classes)) == list("0123456789")
