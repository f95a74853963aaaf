"""Loaders of R2-AD2's and ARGUE's data sets: published layouts, quirks, and what is wrong."""

import logging

import layouts
import numpy as np
import pytest
from layouts import replaced, write

from libs.datasets import (
    census,
    covtype,
    darknet,
    doh,
    ids,
    ids2017,
    mammography,
    nslkdd,
    url,
)
from libs.datasets import registry as datasets
from libs.utils.errors import UserError


def _rows(data) -> list[dict[str, float]]:
    return [dict(zip(data.features, row, strict=True)) for row in data.x.tolist()]


def _counts(classes: np.ndarray) -> dict[str, int]:
    return dict(zip(*(v.tolist() for v in np.unique(classes, return_counts=True)), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("covtype", r"covtype/covtype\.csv.*https://.*--data_path.*A3_DATA"),
        ("darknet", r"darknet/Darknet\.CSV.*https://.*--data_path.*A3_DATA"),
        ("doh", r"doh/l2-benign\.csv.*https://.*--data_path.*A3_DATA"),
        ("url", r"url/All\.csv.*https://.*--data_path.*A3_DATA"),
        ("mammography", r"mammography/mammography\.mat.*https://.*--data_path.*A3_DATA"),
        ("census", r"census/census-income\.data.*https://.*--data_path.*A3_DATA"),
    ],
)
def test_missing_file_says_what_to_do(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        datasets.load(name, tmp_path)


@pytest.mark.parametrize("name", ["covtype+week", "doh+day", "iris"])
def test_unknown_names(name):
    with pytest.raises(UserError, match="unknown data set"):
        datasets.load(name)


def test_unknown_classes_of_normal_rows():
    with pytest.raises(UserError, match=r"doh has no classes of normal rows by 'day'.*week"):
        datasets.load("doh", normal_by="day")
    with pytest.raises(UserError, match=r"covtype has no classes .*expected none"):
        datasets.load("covtype", normal_by="day")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_covtype_layout(tmp_path, suffix, end):
    lines = [*layouts.covtype_lines(3), " "]
    write(tmp_path / f"{covtype.FILE}{suffix}", lines, end)
    data = datasets.load("covtype", tmp_path)
    assert (data.name, data.x.shape, data.x.dtype) == ("covtype-sample", (21, 54), np.float32)
    assert list(data.classes) == list("1234567") * 3
    assert data.x[2].tolist() == pytest.approx([float(v) for v in lines[3].split(",")[:-1]])
    assert data.x_test is None
    assert data.features[0] == "Elevation"
    assert data.features[-1] == "Soil_Type40"


def test_real_covtype_is_a_sample(raw_data):
    data = datasets.load("covtype", raw_data)
    assert (data.name, data.x.shape) == ("covtype-sample", (15_120, 54))
    assert _counts(data.classes) == {str(i): 2160 for i in range(1, 8)}
    assert set(np.unique(data.x[:, 10:]).tolist()) == {0, 1}


COVTYPE = layouts.covtype_lines(2)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (replaced(COVTYPE, 5, 3, ""), r"line 5, column 'Horizontal_Distance_To_Hydrology': .*''"),
        (replaced(COVTYPE, 5, 0, "high"), r"line 5, column 'Elevation': .*found 'high'"),
        (replaced(COVTYPE, 5, 0, "inf"), r"line 5, column 'Elevation': .*found 'inf'"),
        (replaced(COVTYPE, 5, 54, "8"), r"line 5, column 'Cover_Type': unknown label '8'"),
        (COVTYPE[1:], r"line 1: expected a header with the 55 published columns"),
        ([*COVTYPE[:3], "1,2"], r"line 4: expected 55 columns, found 2"),
        (COVTYPE[:1], r"holds no rows"),
    ],
)
def test_covtype_errors_name_the_place(tmp_path, lines, message):
    path = write(tmp_path / covtype.FILE, lines)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("covtype", tmp_path)
    assert str(path) in str(error.value)


def test_darknet_layout_with_every_quirk(tmp_path, caplog):
    """Rows with NaN and Infinity, a repeated header, a trailing blank line; CRLF."""
    caplog.set_level(logging.INFO, "a3")
    lines = layouts.darknet_lines(3)
    bytes_ = lines[0].split(",").index("Flow Bytes/s")
    for row, value in ((2, "NaN"), (3, "Infinity"), (4, "")):
        lines = replaced(lines, row, bytes_, value)
    write(tmp_path / darknet.FILE, [*lines[:7], lines[0], *lines[7:], " "], "\r\n")
    data = datasets.load("darknet", tmp_path)
    assert (data.name, data.x.shape, data.x.dtype) == ("darknet-sample", (9, 79), np.float32)
    assert "3 of 12 rows dropped" in caplog.text
    assert list(data.classes) == (list(darknet.CLASSES) * 3)[3:]
    row = _rows(data)[1]
    assert (row["Src Port"], row["Dst Port"], row["Protocol"]) == (443, 53, 17)
    assert not set(darknet.UNUSED) & set(row)
    by_protocol = datasets.load("darknet", tmp_path, normal_by="Protocol")
    assert list(by_protocol.classes) == "VPN 17 17 Tor VPN 0 0 Tor VPN".split()
    np.testing.assert_array_equal(by_protocol.x, data.x)
    assert (data.normal_by, by_protocol.normal_by) == (None, "Protocol")
    assert by_protocol.name == data.name


def test_darknet_names_label_twice(tmp_path):
    """In the published file both last columns are called Label; the first one counts."""
    lines = layouts.darknet_lines(2)
    write(tmp_path / darknet.FILE, [lines[0].replace("Label.1", "Label"), *lines[1:]])
    data = datasets.load("darknet", tmp_path)
    assert list(data.classes) == list(darknet.CLASSES) * 2
    assert data.x.shape == (8, 79)


def test_darknet_errors_name_the_place(tmp_path):
    lines = layouts.darknet_lines(2)
    label = lines[0].split(",").index("Label")
    write(tmp_path / darknet.FILE, replaced(lines, 4, label, "I2P"))
    with pytest.raises(UserError, match=r"Darknet\.CSV, line 4, column 'Label': .*'I2P'"):
        datasets.load("darknet", tmp_path)
    write(tmp_path / darknet.FILE, replaced(lines, 4, 5, "tcp"))
    with pytest.raises(UserError, match=r"Darknet\.CSV, line 4, column 'Protocol': .*'tcp'"):
        datasets.load("darknet", tmp_path)


@pytest.fixture
def doh_folder(tmp_path):
    benign, malicious = (layouts.doh_lines(label, 8) for label in doh.CLASSES)
    median = benign[0].split(",").index("ResponseTimeTimeMedian")
    write(tmp_path / doh.FILES[0], replaced(benign, 3, median, "NaN"))
    write(tmp_path / f"{doh.FILES[1]}.gz", replaced(malicious, 9, median, ""))
    return tmp_path


def test_doh_layout(doh_folder, caplog):
    caplog.set_level(logging.INFO, "a3")
    data = datasets.load("doh", doh_folder)
    assert (data.name, data.x.shape, data.x.dtype) == ("doh-sample", (14, 29), np.float32)
    assert "l2-benign.csv: 1 of 8 rows dropped" in caplog.text
    assert list(data.classes) == ["Benign"] * 7 + ["Malicious"] * 7
    assert {"TimeStamp", "week", *doh.UNUSED} & set(data.features) == set()
    weeks = datasets.load("doh", doh_folder, normal_by="week")
    assert list(weeks.classes) == "2 50 51 2 3 50 51".split() + ["Malicious"] * 7
    np.testing.assert_array_equal(weeks.x, data.x)


@pytest.mark.parametrize("name", ["doh+week", "doh+week-sample"])
def test_doh_keeps_the_week_if_asked(doh_folder, name):
    """Another input is another data set, so that no result is taken for the other's."""
    data = datasets.load(name, doh_folder, normal_by="week")
    assert data.name == "doh+week-sample"
    assert data.features[-1] == "week"
    assert data.x[:, -1].tolist() == [2, 50, 51, 2, 3, 50, 51, 2, 3, 50, 51, 2, 3, 50]


def test_doh_errors_name_the_place(doh_folder):
    lines = layouts.doh_lines("Benign", 8)
    path = write(doh_folder / doh.FILES[0], replaced(lines, 4, 4, "last Tuesday"))
    with pytest.raises(UserError, match=r"line 4, column 'TimeStamp': .*'last Tuesday'") as error:
        datasets.load("doh", doh_folder)
    assert str(path) in str(error.value)
    write(path, replaced(lines, 4, -1, "DoH"))
    with pytest.raises(UserError, match=r"line 4, column 'Label': unknown label 'DoH'"):
        datasets.load("doh", doh_folder)


def test_url_layout(tmp_path, caplog):
    """Columns with NaN, Infinity or an empty cell are dropped, whole."""
    caplog.set_level(logging.INFO, "a3")
    write(tmp_path / url.FILE, [*layouts.url_lines(2), ""])
    data = datasets.load("url", tmp_path)
    assert (data.name, data.x.shape, data.x.dtype) == ("url-sample", (10, 76), np.float32)
    assert set(url.NUMBERS) - set(data.features) == set(layouts.URL_GAPS)
    assert "columns dropped: avgpathtokenlen, argPathRatio, NumberRate_Extension" in caplog.text
    assert list(data.classes) == list(url.CLASSES) * 2
    own = datasets.load("url", tmp_path, normal_by="ldl_domain")
    assert list(own.classes[[0, 5]]) == ["0", "1"]
    assert list(own.classes[1:5]) == list(url.CLASSES)[1:]
    assert "ldl_domain" in own.features


def test_url_errors_name_the_place(tmp_path):
    lines = layouts.url_lines(2)
    path = write(tmp_path / url.FILE, replaced(lines, 3, 79, "good"))
    with pytest.raises(UserError, match=r"All\.csv, line 3, column 'URL_Type_.*'good'"):
        datasets.load("url", tmp_path)
    write(path, replaced(lines, 3, url.NUMBERS.index("ldl_domain"), "NaN"))
    assert "ldl_domain" not in datasets.load("url", tmp_path).features
    with pytest.raises(UserError, match=r"line 3, column 'ldl_domain'"):
        datasets.load("url", tmp_path, normal_by="ldl_domain")
    write(path, [lines[0], ",".join(["NaN"] * 79 + ["spam"])])
    with pytest.raises(UserError, match=r"line 2, column 'Querylength': expected a finite"):
        datasets.load("url", tmp_path)


def test_mammography_layout(tmp_path):
    layouts.write_mammography(tmp_path)
    data = datasets.load("mammography", tmp_path)
    assert (data.name, data.x.shape, data.x.dtype) == ("mammography-sample", (800, 6), np.float32)
    assert list(data.classes[:5]) == list("10001")


def test_real_mammography_is_complete(raw_data):
    data = datasets.load("mammography", raw_data)
    assert (data.name, data.x.shape) == ("mammography", (11_183, 6))
    assert _counts(data.classes) == {"0": 10_923, "1": 260}


X = np.zeros((4, 6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": None}, r"expected the arrays X and y \(KeyError"),
        ({"X": np.zeros((4, 5)), "y": X[:, 0]}, r"expected X \(n, 6\) .*found \(4, 5\)"),
        ({"X": X, "y": X[:3, 0]}, r"found \(4, 6\) and \(3,\)"),
        ({"X": np.where(np.eye(4, 6), np.nan, 0), "y": X[:, 0]}, r"row 1, column 'feature 1'.*nan"),
        ({"X": X, "y": np.array([0, 1, 2, 0])}, r"row 3, column 'y': unknown label 2"),
    ],
)
def test_mammography_errors_name_the_place(tmp_path, changes, message):
    path = layouts.write_mammography(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("mammography", tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no matrix"])
def test_mammography_damaged(tmp_path, content):
    layouts.write_mammography(tmp_path).write_bytes(content)
    with pytest.raises(UserError, match=r"mammography\.mat is truncated or damaged"):
        datasets.load("mammography", tmp_path)


def test_census_layout(tmp_path, caplog):
    """Values of the training file make the columns; the test file may hold others."""
    caplog.set_level(logging.INFO, "a3")
    write(tmp_path / census.FILES[0], layouts.census_lines(6))
    write(tmp_path / f"{census.FILES[1]}.gz", layouts.census_lines(3, country="Atlantis"))
    data = datasets.load("census", tmp_path)
    assert data.name == "census-sample"
    assert (len(data.x), len(data.x_test)) == (6, 3)
    assert list(data.classes) == "Male Female Anomalous Female Male Anomalous".split()
    assert data.x.shape[1] == data.x_test.shape[1] == len(data.features)
    first, last = _rows(data)[0], _rows(data)[-1]
    assert (first["age"], first["capital gains"], last["capital gains"]) == (46, 0, 5)
    assert (first["sex=Male"], first["sex=Female"], first["hispanic origin=NA"]) == (1, 0, 1)
    assert first["education=High school graduate"] == 1
    assert first["major occupation code=Precision production craft & repair"] == 1
    assert not any("instance weight" in f or "income" in f for f in data.features)
    test = dict(zip(data.features, data.x_test[0].tolist(), strict=True))
    assert test["country of birth father=United-States"] == 0
    assert "3 rows with a value that training rows lack" in caplog.text


@pytest.mark.slow
def test_real_census_is_a_sample(raw_data):
    data = datasets.load("census", raw_data)
    assert data.name == "census-sample"
    assert (data.x.shape, data.x_test.shape) == ((99_761, 509), (49_881, 509))
    assert _counts(data.classes) == {"Anomalous": 6223, "Female": 50264, "Male": 43274}


PEOPLE = layouts.census_lines(6)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (replaced(PEOPLE, 3, 0, " old"), r"line 3, column 'age': .*found 'old'"),
        (replaced(PEOPLE, 3, 12, " Other"), r"line 3, column 'sex': unknown label 'Other'"),
        (replaced(PEOPLE, 3, 41, " 1"), r"line 3, column 'income': unknown label '1'"),
        (replaced(PEOPLE, 3, 4, " "), r"line 3, column 'education': expected text, found ''"),
        ([*PEOPLE[:3], "1, 2"], r"line 4: expected 42 columns, found 2"),
    ],
)
def test_census_errors_name_the_place(tmp_path, lines, message):
    write(tmp_path / census.FILES[0], PEOPLE)
    path = write(tmp_path / census.FILES[1], lines)
    with pytest.raises(UserError, match=message) as error:
        datasets.load("census", tmp_path)
    assert str(path) in str(error.value)


def test_nslkdd_normal_rows_by_protocol(tmp_path):
    for path in nslkdd.FILES:
        write(tmp_path / path, layouts.nslkdd_lines(2))
    data = datasets.load("nslkdd", tmp_path)
    own = datasets.load("nslkdd", tmp_path, normal_by="protocol_type")
    np.testing.assert_array_equal(own.x, data.x)
    assert list(own.classes[:7]) == "tcp DoS icmp Probe udp R2L U2R".split()
    assert (own.classes == own.classes_test).all()


@pytest.mark.parametrize(
    ("name", "module", "rows"),
    [("covtype", covtype, 21), ("mammography", mammography, 800), ("url", url, 15)],
)
def test_complete_files_are_no_samples(tmp_path, monkeypatch, name, module, rows):
    write(tmp_path / covtype.FILE, layouts.covtype_lines(3))
    write(tmp_path / url.FILE, layouts.url_lines(3))
    layouts.write_mammography(tmp_path)
    monkeypatch.setattr(module, "PUBLISHED_ROWS", rows)
    assert datasets.load(name, tmp_path).name == name


def test_ids_by_day(tmp_path):
    """The date in a file's name, as the class of its benign flows or as an input."""
    late, early = "2018-03-02", "2018-02-14"
    for day in (early, late):
        layouts.write_day(tmp_path, day, layouts.ids_lines(1))
    plain, own = (datasets.load("ids", tmp_path, by) for by in (None, "day"))
    kept = datasets.load("ids+day", tmp_path, "day")
    half = len(plain.x) // 2
    # files stand in the order of their names: 02-03-2018 before 14-02-2018
    for classes, day in ((own.classes[:half], late), (own.classes[half:], early)):
        assert list(classes[:4]) == [day, "Bot", day, "BruteForce"]
    assert (own.classes == kept.classes).all()
    np.testing.assert_array_equal(own.x, plain.x)
    assert (own.name, kept.name) == ("ids-sample", "ids+day-sample")
    assert kept.features[-1] == "day"
    assert kept.x[:, -1].tolist() == [1] * half + [0] * half
    np.testing.assert_array_equal(kept.x[:, :-1], plain.x)
    assert ids.days(tmp_path) == ids.DAYS
    write(tmp_path / "IDS/today.csv", layouts.ids_lines(1))
    assert len(datasets.load("ids", tmp_path).x) == 3 * half
    with pytest.raises(UserError, match=r"today\.csv: expected the date in the file's name"):
        datasets.load("ids", tmp_path, "day")


@pytest.mark.slow
def test_ids2017_by_day(raw_data):
    """On the real sample: rows stay the same, benign flows are of five days."""
    plain, own = (datasets.load("ids2017", raw_data, by) for by in (None, "day"))
    np.testing.assert_array_equal(own.x, plain.x)
    attack = plain.classes != "Benign"
    assert (own.classes[attack] == plain.classes[attack]).all()
    assert tuple(np.unique(own.classes[~attack])) == ids2017.DAYS
    kept = datasets.load("ids2017+day", raw_data, "day")
    assert kept.name == "ids2017+day-sample"
    day = kept.x[:, kept.features.index("day")]
    days = np.array(ids2017.DAYS)[day.astype(int)]
    assert (days[~attack] == own.classes[~attack]).all()
    assert kept.x.shape[1] == plain.x.shape[1] + 1
