"""The dashboard with many users, some of whom are rude: answers, connections, uploads, sites."""

import logging
import os
import shutil
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import uvicorn
from served import MODEL, PLACE, RUN, client_of, kept_scores

from app import figures, folders
from app.api import create_app
from app.catalog import Catalog
from app.connections import ImpatientProtocol
from app.queries import UploadQuery
from app.rows import RowSource
from app.scoring import Scoring
from libs.datasets import registry as datasets
from libs.datasets.dataset import DataSet
from libs.utils.errors import UserError

STUDY = {"data_set": "digits", "protocol": "a3"}


# --- answers are made once -----------------------------------------------------------------------
@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """What was read of metric files, and which folders were walked through."""
    found = []
    for module, name in ((figures, "_lines"), (figures, "described"), (folders, "_children")):
        original = getattr(module, name)

        def counting(*args, name=name, original=original):
            found.append(name)
            return original(*args)

        monkeypatch.setattr(module, name, counting)
    return found


def test_answers_are_made_once_for_each_change(settings, tmp_path, counted):
    results = tmp_path / "results"
    shutil.copytree(settings.results, results)
    client = client_of(replace(settings, results=results))
    time.sleep(0.2)  # what has just changed is not relied on

    def ask() -> tuple[bytes, bytes]:
        return client.get("/api/results").content, client.get("/api/metrics", params=STUDY).content

    first = ask()
    assert set(counted) == {"_lines", "described", "_children"}
    counted.clear()
    assert ask() == first
    assert not counted
    path = results.joinpath(*map(str, PLACE.values()), "known.metric.csv")
    status, text = path.stat(), path.read_text()
    path.write_text(text.replace("0.", "1.", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = ask()
    assert again[0] == first[0]
    assert again[1] != first[1]
    assert "_children" not in counted
    scores = path.with_name("scores.npz")
    before, status = client.get("/api/scores", params=RUN).content, scores.stat()
    kept = kept_scores(settings)
    np.savez(scores, **kept | {RUN["run"]: kept[RUN["run"]] / 2})
    os.utime(scores, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert client.get("/api/scores", params=RUN).content != before
    shutil.rmtree(path.parent)
    assert len(client.get("/api/results").json()["listed"]) == 2


@pytest.mark.slow
def test_those_who_ask_at_once_share_a_look(tmp_path):
    looks, started = [], threading.Event()

    def slow(found) -> int:
        looks.append(len(found))
        started.set()
        time.sleep(1)
        return len(looks)

    shared = folders.Folders(tmp_path, 1, slow)
    answers: list[int] = []
    askers = [threading.Thread(target=lambda: answers.append(shared.look())) for _ in range(9)]
    askers[0].start()
    started.wait()
    (tmp_path / "new").mkdir()  # those who ask now must see it
    for asker in askers[1:]:
        asker.start()
    for asker in askers:
        asker.join()
    assert looks == [0, 1]
    assert sorted(answers) == [1, *[2] * 8]


# --- other sites ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/models", {"Sec-Fetch-Site": "none"}, 200),
        ("/api/models", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("/api/models", {"Sec-Fetch-Site": "same-site"}, 403),
        ("/api/models", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/main.js", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, 403),
        ("/api/models", {"Origin": "http://evil.example"}, 403),
        ("/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("/", "a link", 200),
        ("/", "a frame", 403),
        ("/api/models", "a link", 403),
    ],
)
def test_other_sites_cannot_ask(settings, path, headers, status):
    """But they may link to the page."""
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    kinds = {
        "a link": visit | {"Sec-Fetch-Dest": "document"},
        "a frame": visit | {"Sec-Fetch-Dest": "iframe"},
    }
    headers = kinds[headers] if isinstance(headers, str) else headers
    assert client_of(settings).get(path, headers=headers).status_code == status


def test_an_explanation_is_of_a_row_of_the_view(settings):
    row = int(np.flatnonzero(kept_scores(settings)["classes"] == "3")[0])
    query = RUN | {"view": "known", "row": row}
    response = client_of(settings).get("/api/explanation", params=query)
    assert response.status_code == 404
    assert f"no row {row} in the view known" in response.text


# --- connections ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def port(settings):
    """A dashboard on a port, whose patience is short."""

    class Hurried(ImpatientProtocol):
        SECONDS = 0.5

    app = create_app(replace(settings, uploads=1, patience=4.0))
    config = uvicorn.Config(app, log_level="warning", http=Hurried, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def head(method: str, path: str, port: int, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *more, "", ""]
    return "\r\n".join(lines).encode()


UPLOAD = f"/api/score?model={MODEL.replace('+', '%2B')}&name=x.csv"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
@pytest.mark.slow
def test_connections_without_a_request_are_closed(port, sent):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(5)
        connection.sendall(sent)
        assert connection.recv(100) == b""


def test_connections_with_requests_stay(port):
    """A head that comes in pieces, then pauses between requests."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(5)
        request = head("GET", "/api/models", port)
        for part in (request[:9], request[9:], request, request):
            connection.sendall(part)
            time.sleep(0.1)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            answers += connection.recv(10_000) or pytest.fail("closed")


@pytest.mark.slow
def test_a_body_that_does_not_come_is_given_up(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(10)
        connection.sendall(head("POST", UPLOAD, port, "Content-Length: 1000") + b"a,b\n")
        assert b"408" in connection.recv(1000).splitlines()[0]


@pytest.mark.slow
def test_a_client_that_leaves_during_an_upload_is_no_error(port, caplog):
    """Nothing is logged, and its place is free again; meanwhile another one is told to wait."""
    caplog.set_level(logging.WARNING)
    first = socket.create_connection(("127.0.0.1", port))
    first.sendall(head("POST", UPLOAD, port, "Content-Length: 1000") + b"a,b\n")

    def answer(status: bytes) -> bytes:
        """What another client is told, once it is told this."""
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.settimeout(10)
                connection.sendall(head("POST", UPLOAD, port, "Content-Length: 4") + b"a,b\n")
                told = b"".join(iter(lambda: connection.recv(10_000), b""))
            if status in told.splitlines()[0]:
                return told
            time.sleep(0.05)
        raise AssertionError(told)

    assert b"try again" in answer(b"503")
    first.close()
    answer(b"422")  # "holds no rows"
    assert not caplog.records


@pytest.mark.slow
def test_scoring_ends_when_its_client_has_left(settings, tmp_path):
    scoring, left = Scoring(settings, RowSource(settings)), threading.Event()
    model = Catalog(settings.results, settings.models).model(MODEL)
    path = tmp_path / "x.csv"
    path.write_text(scoring.example(model))
    query = UploadQuery(model=MODEL, name="x.csv")
    assert scoring.score_file(model, str(path), query, left).rows == 2
    left.set()
    with pytest.raises(UserError, match="nobody waits"):
        scoring.score_file(model, str(path), query, left)


# --- rows ----------------------------------------------------------------------------------------
def test_data_sets_are_kept_as_far_as_memory_is_set(settings, monkeypatch, tmp_path):
    """Users who look at several data sets do not load them in turn; files take no memory."""
    loads = []

    def reload(described, *_):
        loads.append(described["data_set"])
        x = np.zeros((100, 10), np.float32)
        if described["data_set"] == "file":
            np.save(tmp_path / "x.npy", x)
            x = np.load(tmp_path / "x.npy", mmap_mode="r")
        return DataSet(described["data_set"], x, np.full(100, "a"), "")

    monkeypatch.setattr(datasets, "reload", reload)
    monkeypatch.setattr(datasets, "identity", lambda described: described["data_set"])
    for row_bytes, expected in ((9000, "a b file"), (5000, "a b file a b a b")):
        source = RowSource(replace(settings, row_bytes=row_bytes))
        loads.clear()
        for name in "a b file a b a b".split():
            source._data({"data_set": name})
        assert " ".join(loads) == expected
