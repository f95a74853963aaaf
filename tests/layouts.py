"""Tiny raw files in the published layouts, for tests of loaders and of scripts."""

import gzip
from pathlib import Path

import numpy as np
from scipy.io import savemat
from test_image_scripts import write_images

from libs.datasets import (
    census,
    covtype,
    creditcard,
    darknet,
    doh,
    emnist,
    fashion_mnist,
    ids,
    mammography,
    mnist,
    nslkdd,
    url,
)


def write(path: Path, lines: list[str], end: str = "\n") -> Path:
    """Lines of text; gzipped if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = end.join(lines) + end
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def replaced(lines: list[str], row: int, column: int, value: str) -> list[str]:
    """The lines with one cell changed; the first line is row 1."""
    cells = lines[row - 1].split(",")
    cells[column] = value
    return [*lines[: row - 1], ",".join(cells), *lines[row:]]


def _numbers(n: int, columns: int) -> list[list[str]]:
    """Rows of random numbers, as text."""
    x = np.random.default_rng(1).normal(50, 20, (n, columns)).round(2)
    return [list(map(str, row)) for row in x.tolist()]


def covtype_lines(each: int) -> list[str]:
    """A header, then ``each`` cells of every kind in turn."""
    labels = list("1234567") * each
    rows = _numbers(len(labels), len(covtype.FEATURES))
    body = [",".join([*row, label]) for row, label in zip(rows, labels, strict=True)]
    return [",".join([*covtype.FEATURES, "Cover_Type"]), *body]


DARKNET_HEADER = ",".join(
    [
        *"Flow ID,Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp".split(","),
        *darknet.FEATURES[3:],
        *("Label", "Label.1"),
    ]
)


def darknet_lines(each: int) -> list[str]:
    """A header, then flows of all labels in turn, of protocols 6, 17 and 0."""
    labels = list(darknet.CLASSES) * each
    rows = _numbers(len(labels), len(darknet.FEATURES) - 3)
    lines = [DARKNET_HEADER]
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        # of Non-Tor and NonVPN, the first two of four labels, each has every protocol
        protocol = ("6", "17", "0")[i // 4 % 3]
        head = ["a-b-1-2-6", "10.1.2.3", "443", "10.4.5.6", "53", protocol]
        lines.append(",".join([*head, "24/07/2015 04:09:48 PM", *row, label, "P2P"]))
    return lines


WEEKS = {"2": "2020-01-07", "3": "2020-01-14", "50": "2019-12-11", "51": "2019-12-20"}
DOH_HEADER = ",".join([*doh.UNUSED, "TimeStamp", *doh.FEATURES, "Label"])


def doh_lines(label: str, n: int) -> list[str]:
    """A header, then flows of one label in four weeks in turn."""
    days = list(WEEKS.values())
    rows = _numbers(n, len(doh.FEATURES))
    head = "192.168.20.191,176.103.130.131,50749,443"
    body = [",".join([head, f"{days[i % 4]} 15:49:11", *row, label]) for i, row in enumerate(rows)]
    return [DOH_HEADER, *body]


URL_GAPS = ("avgpathtokenlen", "NumberRate_Extension", "argPathRatio")


def url_lines(each: int) -> list[str]:
    """A header, then URLs of all classes in turn; NaN, an empty cell and Infinity in row 2."""
    labels = list(url.CLASSES) * each
    lines = [",".join([*url.NUMBERS, url.LABEL])]
    place = url.NUMBERS.index("ldl_domain")
    for i, row in enumerate(_numbers(len(labels), len(url.NUMBERS))):
        row[place] = str(i // len(url.CLASSES) % 2)
        lines.append(",".join([*row, labels[i]]))
    for name, value in zip(URL_GAPS, ("NaN", "", "Infinity"), strict=True):
        lines = replaced(lines, 2, url.NUMBERS.index(name), value)
    return lines


PERSON = (
    "46, Private, 33, 33, High school graduate, 0, Not in universe, Married-civilian spouse "
    "present, Retail trade, Precision production craft & repair, White, NA, {sex}, Not in "
    "universe, Not in universe, Full-time schedules, {gain}, 0, 0, Joint both under 65, Not in "
    "universe, Not in universe, Householder, Householder, 1700.09, ?, ?, ?, Not in universe under "
    "1 year old, ?, 1, Not in universe, {country}, United-States, United-States, Native- Born in "
    "the United States, 0, Not in universe, 2, 35, 95, {income}"
)


def census_lines(n: int, country: str = "United-States") -> list[str]:
    """People without a header, 42 columns, each with a blank before it; every third is rich."""
    return [
        PERSON.format(
            sex=("Male", "Female")[i % 2],
            gain=i,
            country=country,
            income=" 50000+." if i % 3 == 2 else "- 50000.",
        )
        for i in range(n)
    ]


def write_mammography(folder: Path, **changes) -> Path:
    """ODDS' file: X (n, 6), y (n, 1), every fourth row of class 1."""
    content = {
        "X": np.random.default_rng(1).normal(0, 1, (800, 6)),
        "y": (np.arange(800) % 4 == 0).astype(np.uint8)[:, None],
    }
    path = folder / mammography.FILE
    path.parent.mkdir(exist_ok=True)
    savemat(path, {k: v for k, v in (content | changes).items() if v is not None})
    return path


CONNECTION = (
    "{i},{protocol},http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,"
    "0.00,0.00,9,9,1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00,{label},20"
)


def nslkdd_lines(each: int) -> list[str]:
    """Connections of all families in turn, and three times as many normal ones."""
    labels = ["normal", "neptune", "normal", "satan", "normal", "guess_passwd", "rootkit"] * each
    return [
        CONNECTION.format(i=i, protocol=("tcp", "udp", "icmp")[i % 3], label=label)
        for i, label in enumerate(labels)
    ]


def card_lines(n: int) -> list[str]:
    """A header, then payments; every third is fraud."""
    rows = _numbers(n, len(creditcard.FEATURES))
    body = [",".join(["0", *row, f'"{int(i % 3 == 0)}"']) for i, row in enumerate(rows)]
    return [",".join(["Time", *creditcard.FEATURES, "Class"]), *body]


def ids_lines(each: int) -> list[str]:
    """A header, then flows of every raw label and as many benign ones."""
    labels = [word for label in list(ids.FAMILIES)[1:] for word in ("Benign", label)] * each
    columns = ["Dst Port", "Protocol", "Timestamp", *ids.LAYOUT.numbers[1:], "Label"]
    rows = _numbers(len(labels), len(columns) - 4)
    body = [
        ",".join(["80", "6", "14/02/2018 08:31:01", *row, label])
        for row, label in zip(rows, labels, strict=True)
    ]
    return [",".join(columns), *body]


def write_day(folder: Path, day: str, lines: list[str]) -> Path:
    """A file of CSE-CIC-IDS2018, named as published."""
    date = "-".join(reversed(day.split("-")))
    return write(folder / f"IDS/Someday-{date}_TrafficForML_CICFlowMeter.csv", lines)


IMAGES = {
    mnist.FILE: range(10),
    fashion_mnist.FILE: range(10),
    emnist.ARCHIVE: range(1, 27),
}


def write_all(folder: Path, images: int) -> Path:
    """Every raw file, each with enough rows for 100 known anomalies and all splits."""
    write(folder / covtype.FILE, covtype_lines(120))
    write(folder / darknet.FILE, darknet_lines(180))
    write(folder / doh.FILES[0], doh_lines("Benign", 300))
    write(folder / doh.FILES[1], doh_lines("Malicious", 200))
    write(folder / url.FILE, url_lines(120))
    write(folder / creditcard.FILE, card_lines(600))
    for day in ids.DAYS:
        write_day(folder, day, ids_lines(15))
    for path, n in zip(census.FILES, (600, 100), strict=True):
        write(folder / path, census_lines(n))
    for path, n in zip(nslkdd.FILES, (120, 30), strict=True):
        write(folder / path, nslkdd_lines(n))
    write_mammography(folder)
    for name, labels in IMAGES.items():
        write_images(folder / name, dict.fromkeys(labels, images))
    return folder
