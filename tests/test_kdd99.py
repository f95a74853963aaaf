"""KDD Cup 1999: layout, variants, deepad's labels and rows, and the download."""

import gzip
import hashlib
import http.server
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import call_in_child
from test_datasets import LINE

from benchmarks.dagmm_kdd99 import columns
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import kdd99
from libs.datasets import registry as datasets
from libs.datasets.readers import fetch
from libs.utils.errors import UserError

ROOT = Path(__file__).parent.parent
KNOWN = ["normal", "neptune", "satan", "guess_passwd", "rootkit"]
NOVEL = ["mailbomb", "saint", "snmpguess", "xterm"]
FAMILIES = ("DoS", "Probe", "R2L", "U2R")


def line(label: str, srv_count: int = 8) -> str:
    """A raw row: NSL-KDD's without the difficulty, and a dot after the label."""
    cells = LINE.format(label=label).split(",")[:42]
    cells[23] = str(srv_count)
    return ",".join(cells) + "."


def write_kdd99(folder: Path, train=None, test=None) -> Path:
    """Files in the published layout: 60 training rows, 180 different test rows, gzipped."""
    (folder / "kdd").mkdir(exist_ok=True)
    train = train or [line(label, i) for i, label in enumerate(KNOWN * 12)]
    test = test or [line(label, i) for i, label in enumerate((KNOWN + NOVEL) * 20)]
    for name, lines in zip(kdd99.FILES, (train, test), strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    return folder


def write_authors(folder: Path) -> Path:
    """deepad's prepared files: a header, 18 features, target."""
    (write_kdd99(folder) / "kdd/8020").mkdir()
    for name in kdd99.AUTHORS_ROWS:
        target = int("outliers" in name)
        rows = [",".join(["7", "0.5", *["0"] * 16, str(target)])] * 30
        text = "\n".join([",".join([*kdd99.TRAFFIC, "target"]), *rows, ""])
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_layout(tmp_path):
    data = datasets.load("kdd99", write_kdd99(tmp_path))
    assert (data.name, data.x.shape, data.x.dtype) == ("kdd99-sample", (60, 18), np.float32)
    assert data.features[:2] == ("srv_count", "serror_rate")
    assert list(data.classes[:5]) == ["normal", *FAMILIES]
    assert data.x[3, 0] == 3
    assert (len(data.x_val), len(data.x_test)) == (36, 144)
    found = set(np.unique(data.classes_test))
    assert found == {"normal", *FAMILIES, *(f"novel {family}" for family in FAMILIES)}
    for name in found:  # a fifth of each class is set aside, and no row is in both parts
        assert (data.classes_val == name).sum() == 4
    assert not set(data.x_val[:, 0]) & set(data.x_test[:, 0])


def test_all_features(tmp_path):
    data = datasets.load("kdd99+41", write_kdd99(tmp_path))
    assert data.name == "kdd99+41-sample"
    assert data.x.shape[1] == len(data.features) == 123
    row = dict(zip(data.features, data.x[0], strict=True))
    assert (row["src_bytes"], row["service=http"], row["protocol_type=udp"]) == (181, 1, 0)


def test_without_duplicates(tmp_path):
    """One row of each class and features is kept, of the test file alone."""
    test = [line(label, i) for i in (1, 1, 2, 3, 4, 5) for label in ("normal", "neptune", "saint")]
    train = [line("normal", 1)] * 20 + [line("neptune")]
    data = datasets.load("kdd99+unique", write_kdd99(tmp_path, train, test))
    assert len(data.x) == 21
    both = np.concatenate([data.x_val, data.x_test]), [*data.classes_val, *data.classes_test]
    assert sorted(zip(both[0][:, 0], both[1], strict=True)) == [
        (count, name) for count in range(1, 6) for name in ("DoS", "normal", "novel Probe")
    ]


def test_authors_rows(tmp_path):
    data = datasets.load("kdd99+authors", write_authors(tmp_path))
    assert data.name == "kdd99+authors-sample"
    assert (data.x_val.shape, data.x_test.shape) == ((60, 18), (60, 18))
    assert list(data.x_test[0][:2]) == [7, 0.5]
    assert dict(zip(*np.unique(data.classes_test, return_counts=True), strict=True)) == {
        "normal": 30,
        "attack": 30,
    }


def test_strange_names_are_clear_errors(tmp_path):
    with pytest.raises(UserError, match="variants of kdd99 are 41, unique"):
        datasets.load("kdd99+42", tmp_path)
    with pytest.raises(UserError, match="variants of nslkdd are none"):
        datasets.load("nslkdd+41", tmp_path)
    with pytest.raises(UserError, match="--download"):
        datasets.load("kdd99", tmp_path)
    write_kdd99(tmp_path, test=[line("normal"), line("wurm")])
    with pytest.raises(UserError, match=r"line 2, column 'label': unknown label 'wurm\.'"):
        datasets.load("kdd99", tmp_path)


def _count_published_rows(raw_data):
    data = datasets.load("kdd99", raw_data)
    assert data.name == "kdd99"
    assert (len(data.x), (data.classes == "normal").sum()) == (494_021, 97_278)
    assert len(data.x_val) + len(data.x_test) == 311_029
    classes = np.concatenate([data.classes_val, data.classes_test])
    assert (classes == "normal").sum() == 60_593
    assert np.char.startswith(classes, "novel").sum() == 18_729
    assert len(kdd99.NOVEL) == 17
    authors = datasets.load("kdd99+authors", raw_data)
    assert authors.name == "kdd99+authors"
    assert (len(authors.x_val), len(authors.x_test)) == (62_205, 10_000)


@pytest.mark.slow
def test_published_rows(raw_data):
    """Issue 7's counts: 97,278 normal training rows; 18,729 rows of 17 attacks that are new."""
    call_in_child(_count_published_rows, raw_data)


def _check_columns(raw_data):
    data = datasets.load("kdd99+41", raw_data)
    x = columns(data.x, data.features)
    assert x.shape == (494_021, 120)
    assert ((x.max(axis=0) - x.min(axis=0)) == 0).sum() == 1  # num_outbound_cmds


@pytest.mark.slow
def test_the_columns_of_dagmms_paper(raw_data):
    """120 of them, each of which varies over the training file but one."""
    call_in_child(_check_columns, raw_data)


# --- rows of deepad's partitions ----------------------------------------------------------------
def test_partition(tmp_path):
    """Validation rows of the data set's own, and as many test rows as the partition names."""
    data = datasets.load("kdd99", write_kdd99(tmp_path))
    rules = SplitRules(test_seed=250, scale_on="normal", test_rows=(16, 4))
    novel = tuple(f"novel {family}" for family in FAMILIES)
    true = Experiment(("normal",), (), FAMILIES + novel)
    splits = DataHandler(data, rules, seed=1).split(true)
    assert len(splits.x_train) == 12  # every normal row; validation rows are not theirs
    assert (len(splits.x_val), len(splits.x_test)) == (36, 20)
    assert (splits.classes_test == "normal").sum() == 16
    assert (splits.x_train.min(), splits.x_train.max()) == (0, 1)
    other = DataHandler(data, rules, seed=2).split(true)
    np.testing.assert_array_equal(splits.x_test, other.x_test)  # deepad's test rows are fixed
    deepad = Experiment(("normal", *novel), (), FAMILIES)
    splits = DataHandler(data, rules, seed=1).split(deepad)
    assert len(splits.x_train) == 12
    assert np.isin(splits.classes_test, deepad.normal).sum() == 16
    assert np.isin(splits.classes_test, novel).any()
    too_many = SplitRules(scale_on="normal", test_rows=(17, 4))
    with pytest.raises(UserError, match=r"17 normal and 4 anomalous .* holds 16 and 128"):
        DataHandler(data, too_many, seed=1).split(true)


# --- download -----------------------------------------------------------------------------------
@pytest.fixture
def server(tmp_path):
    """A server on this machine that serves ``tmp_path/server``, and breaks off /broken."""
    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def do_GET(self):
            if self.path != "/broken":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_download(server, tmp_path, monkeypatch):
    folder, url = server
    published = []
    for name in kdd99.FILES:
        content = gzip.compress(name.encode() * 100)
        (folder / f"{Path(name).name}.gz").write_bytes(content)
        published.append((len(content), _sha(content)))
    monkeypatch.setattr(kdd99, "PUBLISHED", published)
    args = kdd99.parser().parse_args(["--download", "--data_path", str(tmp_path), "--source", url])
    kdd99.main(args)
    for name, (_, digest) in zip(kdd99.FILES, published, strict=True):
        assert _sha((tmp_path / f"{name}.gz").read_bytes()) == digest
    for file in folder.iterdir():
        file.unlink()
    kdd99.main(args)  # what is there is not fetched again


@pytest.mark.parametrize(
    ("path", "size", "message"),
    [
        ("other", 5, "not the published file: expected 5 bytes .* found 5 bytes of"),
        ("long", 5, "found 6 bytes or more"),
        ("empty", 5, "found 0 bytes"),
        ("broken", 5, "cannot download .*IncompleteRead|found 4 bytes"),
        ("missing", 5, "cannot download .*404"),
    ],
)
@pytest.mark.slow
def test_a_download_is_right_or_leaves_nothing(server, tmp_path, path, size, message):
    folder, url = server
    (folder / "other").write_bytes(b"apple")
    (folder / "long").write_bytes(bytes(10**6))
    (folder / "empty").write_bytes(b"")
    target = tmp_path / "kdd/file.gz"
    with pytest.raises(UserError, match=message):
        fetch.fetch(url + path, target, size, _sha(b"pears"))
    assert list(target.parent.iterdir()) == []
    target.write_bytes(b"what lay there")
    with pytest.raises(UserError):
        fetch.fetch(url + path, target, size, _sha(b"pears"))
    assert target.read_bytes() == b"what lay there"


@pytest.mark.slow
def test_no_server_is_one_line(tmp_path):
    command = [sys.executable, "-m", "libs.datasets.kdd99", "--download"]
    place = ["--data_path", str(tmp_path), "--source", "http://127.0.0.1:9/"]
    done = subprocess.run([*command, *place], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: cannot download http://127.0.0.1:9/" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.gz"))
