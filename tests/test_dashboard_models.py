"""The dashboard's models: explained rows, scored tables, predictions; and Cloudera's side of it."""

import csv
import gzip
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from served import EXPERIMENT, MODEL, OWN, RUN, client_of, handler, kept_scores, view

from app.catalog import Catalog
from app.predict import predict
from app.rows import RowSource
from app.scoring import STORED, Scoring, threshold_of
from libs.detectors.detector import Detector
from libs.utils.errors import UserError

PIXELS = [f"pixel_{i}" for i in range(64)]


@pytest.fixture(scope="module")
def client(settings) -> TestClient:
    return client_of(settings)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    """Test rows in raw units, (n, 64)."""
    return handler().raw_rows(EXPERIMENT, "test")[0][:].reshape(-1, 64)


def table(rows: np.ndarray, names=PIXELS) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows.tolist()])
    return text.getvalue().encode()


def upload(client, content, model=MODEL, name="mine.csv", **more):
    return client.post("/api/score", params={"model": model, "name": name}, content=content, **more)


def records(rows: np.ndarray) -> list[dict]:
    return [dict(zip(PIXELS, row, strict=True)) for row in rows.tolist()]


# --- explanations -----------------------------------------------------------------------------
@pytest.mark.parametrize("run", ["A3-n5", "A3-n10", "Autoencoder"])
@pytest.mark.slow
def test_an_explanation_is_the_detectors(client, settings, run):
    found = client.get("/api/explanation", params=RUN | {"run": run, "row": 7}).json()
    folder = next(settings.models.glob(f"digits/a3/1/*/{run.split('-')[0]}/[!.]*"))
    row = handler().split(EXPERIMENT).x_test[7:8]
    expected = Detector.load(folder).explain(row, int(run[4:]) if "-n" in run else None)
    mine = [part["contribution"] for part in found["contributions"]]
    assert mine == pytest.approx(expected.contributions[0].ravel().astype(float), abs=1e-7)
    kept = kept_scores(settings)[run][7]
    assert sum(mine) == pytest.approx(kept - expected.base[0], abs=1e-4)
    assert found["image"] == [8, 8]
    assert bool(found["layers"]) == run.startswith("A3")
    assert "anew" not in found["words"]


def test_a_model_of_other_scores_is_told(client, settings, tmp_path):
    results = tmp_path / "results/digits/a3/1" / EXPERIMENT.name / "test"
    results.mkdir(parents=True)
    for path in (settings.results / "digits/a3/1" / EXPERIMENT.name / "test").iterdir():
        if path.is_file():
            (results / path.name).write_bytes(path.read_bytes())
    kept = kept_scores(settings)
    np.savez(results / "scores.npz", **kept | {"Autoencoder": kept["Autoencoder"] * 2})
    other = client_of(replace(settings, results=tmp_path / "results"))
    found = other.get("/api/explanation", params=RUN | {"run": "Autoencoder", "row": 7}).json()
    assert "trained anew" in found["words"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run": "IsolationForest"}, "cannot be told apart"),
        ({"seed": 2}, "no model"),
        ({"row": 10**6}, "no row"),
    ],
)
def test_what_cannot_be_explained_is_told(client, changes, words):
    response = client.get("/api/explanation", params=RUN | {"row": 7} | changes)
    assert response.status_code in (404, 422)
    assert words in response.json()["detail"]


# --- tables -----------------------------------------------------------------------------------
@pytest.mark.parametrize("zipped", [False, True])
def test_an_uploaded_table_gets_the_scores_of_the_results(client, settings, raw, zipped):
    content = table(raw)
    found = upload(client, gzip.compress(content) if zipped else content).json()
    _, _, expected = view(settings)
    text = client.get("/api/scored", params={"id": found["id"]})
    assert text.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert [int(row["row"]) for row in rows] == list(range(1, len(raw) + 1))
    assert [float(row["score"]) for row in rows] == pytest.approx(expected.tolist(), abs=1e-6)
    flagged = [float(row["score"]) > found["threshold"] for row in rows]
    assert [row["flagged"] for row in rows] == [str(int(f)) for f in flagged]
    assert found["flagged"] == sum(flagged) > 0
    strongest = sorted(range(len(rows)), key=lambda i: -expected[i])[:20]
    assert found["strongest"][0]["row"] == strongest[0] + 1
    assert len(found["strongest"]) == 20


def test_columns_are_matched_by_name(client, raw):
    turned = upload(client, table(raw[:, ::-1], PIXELS[::-1])).json()
    straight = upload(client, table(raw)).json()
    scores = [client.get("/api/scored", params={"id": f["id"]}).text for f in (turned, straight)]
    assert scores[0] == scores[1]


def test_the_example_is_what_the_model_reads(client):
    names = client.get("/api/expected", params={"model": MODEL}).json()["names"]
    example = client.get("/api/example", params={"model": MODEL}).text
    assert names == PIXELS
    assert example.splitlines()[1:] == [",".join(["0.0"] * 64), ",".join(["16.0"] * 64)]
    assert upload(client, example.encode()).json()["rows"] == 2


def test_other_columns_are_one_message(client, raw):
    response = upload(client, table(raw[:, :63], [*PIXELS[:62], "colour"]))
    assert response.status_code == 422
    for word in ("mine.csv", "pixel_62", "pixel_63", "colour"):
        assert word in response.json()["detail"]
    assert "/tmp" not in response.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01\x02",
        b"PAR1 but no more",
        b"\x1f\x8b\x08\x00nothing",
        b"pixel_0\n1\n2,3\n",
        "pixel_0\nä\n".encode("latin-1"),
        table(np.zeros((1, 64))).replace(b"0.0\r\n", b"high\r\n"),
        table(np.zeros((1, 64))).replace(b"0.0\r\n", b"inf\r\n"),
        table(np.zeros((1, 64))).replace(b"0.0\r\n", b"\r\n"),
    ],
)
def test_broken_tables_end_in_a_message(client, content):
    response = upload(client, content)
    assert response.status_code == 422, response.text
    assert "mine.csv" in response.json()["detail"]


def test_too_many_rows_and_too_many_bytes(settings, raw):
    few = client_of(replace(settings, upload_rows=10, upload_bytes=100_000))
    assert upload(few, table(raw[:10])).status_code == 200
    response = upload(few, table(raw[:11]))
    assert response.status_code == 413
    assert "mine.csv has more than the 10 rows" in response.json()["detail"]
    response = few.post("/api/predict", json={"model": MODEL, "data": records(raw[:11])})
    assert response.status_code == 413
    large = b"x" * 100_001
    for content in (large, iter([large[:60_000], large[60_000:]])):  # announced, and in chunks
        response = upload(few, content)
        assert response.status_code == 413
        assert "MiB" in response.json()["detail"]


def test_scores_are_kept_for_a_while(client, raw):
    names = [upload(client, table(raw[:1])).json()["id"] for _ in range(STORED + 1)]
    states = [client.get("/api/scored", params={"id": name}).status_code for name in names]
    assert states == [404] + [200] * STORED


def test_models_need_their_raw_data_or_inputs(settings, monkeypatch):
    from libs.datasets import registry as datasets

    def missing(*_):
        raise UserError("digits.csv is not there")

    monkeypatch.setattr(datasets, "reload", missing)
    response = client_of(settings).get("/api/expected", params={"model": MODEL})
    assert response.status_code == 422
    assert "digits.csv" in response.text


# --- predictions ------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def parts(settings):
    return Catalog(settings.results, settings.models), Scoring(settings, RowSource(settings))


def test_predictions_are_those_of_the_results(client, settings, raw, parts):
    _, _, expected = view(settings)
    args = {"model": MODEL, "data": records(raw[:9])}
    found = client.post("/api/predict", json=args).json()
    assert found["scores"] == pytest.approx(expected[:9].tolist(), abs=1e-6)
    threshold = threshold_of(parts[0].model(MODEL))
    assert found["threshold"] == threshold
    assert found["predictions"] == (expected[:9] > threshold).astype(int).tolist()
    assert found["ids"] == [str(i) for i in range(9)]
    assert predict(json.loads(json.dumps(args)), *parts) == found  # one function for both


def test_ids_come_back_and_fields_may_stand_in_any_order(client, raw):
    plain = records(raw[:2])
    turned = [{"id": f"r{i}"} | dict(reversed(r.items())) for i, r in enumerate(plain)]
    first, second = (
        client.post("/api/predict", json={"model": MODEL, "data": data}).json()
        for data in (plain, turned)
    )
    assert second["ids"] == ["r0", "r1"]
    assert first["scores"] == second["scores"]


ROW = dict.fromkeys(PIXELS, 1.0)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (None, "the request"),
        ([], "the request"),
        ({}, "data: Field required"),
        ({"data": {}}, "data: "),
        ({"data": [1]}, "data.0: "),
        ({"data": [{}]}, "data.0: "),
        ({"data": [ROW], "more": 1}, "more: "),
        ({"data": [ROW], "model": "../../etc"}, "no model ../../etc"),
        ({"data": [ROW]}, "name one of the 4"),
        ({"data": [ROW | {"pixel_3": [1]}], "model": MODEL}, "data.0.pixel_3"),
        ({"data": [ROW | {"pixel_3": "high"}], "model": MODEL}, "'pixel_3'"),
        ({"data": [ROW | {"pixel_3": None}], "model": MODEL}, "'pixel_3'"),
        ({"data": [ROW | {"pixel_3": 1e300}], "model": MODEL}, "'pixel_3'"),
        ({"data": [ROW | {"pixel_99": 1}], "model": MODEL}, "extra: pixel_99"),
        ({"data": [ROW, {"pixel_0": 1}], "model": MODEL}, "record 1"),
        ({"data": [ROW, ROW | {"id": 1}], "model": MODEL}, "record 1"),
        ({"data": [ROW | {"id": 1}, ROW], "model": MODEL}, "record 1"),
    ],
)
def test_wrong_arguments_are_one_message(client, parts, args, words):
    with pytest.raises(UserError) as told:
        predict(args, *parts)
    assert words in str(told.value)
    response = client.post("/api/predict", json=args)
    assert response.status_code in (404, 422)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "model", "id", "pixel_0", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@pytest.mark.slow
@hypothesis_settings(max_examples=100, deadline=None)
@given(_json, st.booleans())
def test_any_argument_ends_in_a_message(parts, value, wrapped):
    with pytest.raises(UserError):
        predict({"model": MODEL, "data": [value]} if wrapped else value, *parts)


# --- tables of one's own ----------------------------------------------------------------------
@pytest.mark.slow
def test_columns_of_an_own_table_are_explained(own):
    client = client_of(own)
    (row,) = client.get("/api/rows", params=OWN | {"threshold": 0, "limit": 1}).json()["rows"]
    explained = client.get("/api/explanation", params=OWN | {"row": row["row"]}).json()
    names = [part["name"] for part in explained["contributions"]]
    assert names == ["amount", "kind", "place", "score"]
    total = sum(part["contribution"] for part in explained["contributions"])
    assert total == pytest.approx(row["score"], abs=1e-5)
    found = client.get("/api/reasons", params=OWN | {"rows": str(row["row"])}).json()
    parts = sorted(explained["contributions"], key=lambda part: -part["contribution"])
    assert found == {str(row["row"]): parts[:3]}


@pytest.mark.slow
def test_an_own_table_is_scored_as_in_its_results(own):
    client = client_of(own)
    query = OWN | {"threshold": 0, "sort": "row", "descending": False, "limit": 200}
    rows = client.get("/api/rows", params=query).json()["rows"]
    content = "amount,kind,place,score\n" + "\n".join(",".join(map(str, r["values"])) for r in rows)
    model = "csv-payments/a3/3/fine_known_fraud/Autoencoder"
    assert client.get("/api/expected", params={"model": model}).json()["names"] == [
        "amount",
        "kind",
        "place",
        "score",
    ]
    found = upload(client, content.encode(), model).json()
    scored = csv.DictReader(io.StringIO(client.get("/api/scored", params={"id": found["id"]}).text))
    expected = [row["score"] for row in rows]
    assert [float(row["score"]) for row in scored] == pytest.approx(expected, abs=1e-6)
    example = client.get("/api/example", params={"model": model}).text
    assert upload(client, example.encode(), model).json()["rows"] == 2
