"""The dashboard on a user's own table: places, gaps, thresholds, marks; with labels and without."""

import csv
import io
import json
import shlex
from collections import Counter

import numpy as np
import pytest
from fastapi.testclient import TestClient
from served import OWN, RUN, UNLABELLED_RUN, client_of

import do_csv
from libs.datasets.tabular.own import UNLABELLED
from libs.detectors.detector import Detector
from libs.experiments import own_tables
from libs.experiments.script import study_parser

OWN_MODEL = "csv-payments/a3/3/fine_known_fraud/Autoencoder"
ALL_ROWS = {"threshold": 0, "limit": 200}


@pytest.fixture(scope="module")
def client(own) -> TestClient:
    return client_of(own)


@pytest.fixture(scope="module")
def file(own) -> list[list[str]]:
    """Lines of the table, the header first."""
    return list(csv.reader((own.results.parent / "payments.csv").open()))


def get(client, address, params):
    response = client.get(address, params=params)
    assert response.status_code == 200, response.text
    return response


def rows_of(client, **changes) -> list[dict]:
    return get(client, "/api/rows", OWN | ALL_ROWS | changes).json()["rows"]


def table_of(response) -> list[dict]:
    return list(csv.DictReader(io.StringIO(response.text)))


# --- rows ----------------------------------------------------------------------------------------
def test_a_column_named_score_is_not_the_models(client):
    by_model = [row["score"] for row in rows_of(client, sort="score")]
    assert by_model == sorted(by_model, reverse=True)
    by_column = [row["values"][3] for row in rows_of(client, feature="score")]
    assert by_column == sorted(by_column, reverse=True)
    assert by_column != by_model


def test_rows_have_their_place_in_the_file(client, file):
    query = OWN | {"threshold": 0}
    found = get(client, "/api/rows", query | {"limit": 200}).json()
    assert found["ids"] == ["ref"]
    assert len(found["rows"]) == 40
    for row in found["rows"]:
        origin = row["origin"]
        ref, amount, kind, place, score, _note, class_ = file[origin["line"] - 1]
        assert (origin["row"], origin["ids"]) == (origin["line"] - 1, [ref])
        assert origin["file"].endswith("payments.csv")
        assert row["class"] == class_
        gaps = [name for name, cell in (("amount", amount), ("kind", kind)) if not cell]
        assert origin["filled"] == gaps
        cells = [str(row["values"][i]) for i in range(4)]
        known = [c for c in (amount, kind, place, score) if c]
        assert [float(c) if c[0].isdigit() else c for c in known] == [
            float(c) if c[0].isdigit() else c
            for c, raw in zip(cells, (amount, kind, place, score), strict=True)
            if raw
        ]
    assert any(row["origin"]["filled"] for row in found["rows"])
    lines = table_of(get(client, "/api/rows.csv", query | {"filter": "flagged"}))
    assert list(lines[0]) == ["file", "row", "line", "ref", "id file", "class", "score", "flagged"]
    assert [line["ref"] for line in lines] == [row["origin"]["ids"][0] for row in found["rows"]]
    assert all(line["id file"] == f"note {line['ref'][1:]}" for line in lines)


def test_a_row_has_its_cells_in_dropped_columns(client):
    row = rows_of(client)[0]
    found = get(client, "/api/row", OWN | {"row": row["row"]}).json()
    assert found["dropped"] == {"file": f"note {row['origin']['ids'][0][1:]}"}


def test_features_are_told_by_their_rarity(client):
    rows = rows_of(client)
    (row,) = [row for row in rows if row["class"] == "fraud" and not row["origin"]["filled"]][:1]
    found = get(client, "/api/row", OWN | {"row": row["row"]}).json()
    usual = dict(zip([c["name"] for c in found["columns"]], found["normal"], strict=True))
    normal = [row for row in rows if row["class"] == "fine"]
    amounts = [row["values"][0] for row in normal]
    assert usual["amount"]["median"] == pytest.approx(np.median(amounts), rel=1e-5)
    assert usual["amount"]["rarity"] == 0
    assert usual["amount"]["beyond"] > 1
    kinds = Counter(row["values"][1] for row in normal)
    assert usual["kind"]["common"] == "card"
    assert usual["kind"]["frequency"] == pytest.approx(kinds["card"] / len(normal))
    assert usual["kind"]["rarity"] == pytest.approx(kinds["wire"] / len(normal))


# --- without labels ------------------------------------------------------------------------------
def test_rows_without_labels_have_a_view_of_their_own(client):
    listed = get(client, "/api/results", {}).json()["listed"]
    views = {line["experiment"]: (list(line["views"]), line["runs"]) for line in listed}
    assert views == {
        "fine_known_fraud": (["known"], []),
        UNLABELLED: (["all"], ["Autoencoder"]),
    }
    response = get(client, "/api/scores", UNLABELLED_RUN)
    assert (response.headers["x-normal-rows"], response.headers["x-anomalous-rows"]) == ("40", "0")
    found = get(client, "/api/rows", UNLABELLED_RUN | ALL_ROWS).json()
    assert {row["label"] for row in found["rows"]} == {None}
    about = get(client, "/api/about", UNLABELLED_RUN).json()
    score, explain = map(shlex.split, about["commands"])
    assert score[1:2] + score[-4:] == ["score.py", "--threshold", "fpr=0.1", "--explain", "3"]
    assert explain[1:2] == ["explain.py"]
    assert client.get("/api/scores", params=OWN | {"view": "all"}).status_code == 404


# --- runs ----------------------------------------------------------------------------------------
def test_a_run_tells_its_losses_and_whether_it_explains(settings):
    client = client_of(settings)
    about = get(client, "/api/about", RUN).json()
    detector = Detector.load(next(settings.models.glob("digits/a3/1/*/A3/[!.]*")))
    assert about["losses"] == list(detector.training_.losses)
    assert about["unexplained"] == ""
    about = get(client, "/api/about", RUN | {"run": "IsolationForest"}).json()
    assert "no explanation" in about["unexplained"]
    about = get(client, "/api/about", RUN | {"seed": 2}).json()
    assert "the model of A3-n10 must lie in" in about["unexplained"]


def test_a_threshold_of_any_rate(client, own):
    calibration = Detector.load(next(own.models.glob(f"{OWN_MODEL}/[!.]*"))).calibration_scores_
    (found,) = get(client, "/api/thresholds", OWN | {"rate": 0.2}).json()
    above = (calibration > found["threshold"]).mean()
    assert 0.1 < above <= 0.2
    assert get(client, "/api/thresholds", OWN | {"rate": 1e-5}).json() == []


@pytest.mark.slow
def test_layers_have_readable_names(settings):
    found = get(client_of(settings), "/api/explanation", RUN | {"row": 7}).json()
    names = [layer["name"] for layer in found["layers"]]
    assert names == [f"hidden layer {i} of 3 (ReLU)" for i in (1, 2, 3)]


# --- uploads -------------------------------------------------------------------------------------
def upload(client, **query):
    lines = ["ref,amount,kind,score,place,more,file"]
    lines += [f"q{i},{900 if i == 3 else 100},card,0.5,b,x,n{i}" for i in range(9)]
    query = {"model": OWN_MODEL, "name": "new.csv"} | query
    response = client.post("/api/score", params=query, content="\n".join(lines) + "\n")
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.slow
def test_uploads_by_rate_or_alerts_with_reasons_and_places(client):
    found = upload(client, alerts=1)
    assert (found["flagged"], found["ignored"]) == (1, ["more"])
    first = found["strongest"][0]
    assert (first["row"], first["line"]) == (4, 5)
    assert "amount" in [reason["name"] for reason in first["reasons"]]
    lines = table_of(get(client, "/api/scored", {"id": found["id"]}))
    assert list(lines[0]) == ["file", "row", "line", "ref", "id file", "score", "flagged"]
    assert [(line["ref"], line["id file"]) for line in lines if line["flagged"] == "1"] == [
        ("q3", "n3")
    ]
    assert {line["file"] for line in lines} == {"new.csv"}
    assert upload(client, alerts=50)["flagged"] == 9
    strict, loose = (upload(client, rate=rate)["threshold"] for rate in (0.1, 0.5))
    assert strict > loose
    assert "too few" in upload(client, rate=1e-6)["words"]


# --- marks ---------------------------------------------------------------------------------------
def marked(client, run, tmp_path, **marks):
    """The table with labels, and the arguments of the command that trains on it, as parsed."""
    query = {k: v for k, v in run.items() if k not in ("view", "run")} | marks
    about = get(client, "/api/retraining", query).json()
    (tmp_path / about["file"]).write_text(get(client, "/api/labelled.csv", query).text)
    words = shlex.split(about["command"])
    assert words[:2] == ["python", "do_csv.py"]
    parser = study_parser(do_csv.__doc__, do_csv.PROTOCOLS, files=True)
    own_tables.add_table_options(parser)
    return parser.parse_args(words[2:])


@pytest.mark.parametrize("run", [OWN, UNLABELLED_RUN])
def test_marks_become_labels_of_the_next_training(client, file, tmp_path, monkeypatch, run):
    rows = get(client, "/api/rows", run | ALL_ROWS).json()["rows"]
    confirmed, normal = rows[:2], rows[2:5]
    marks = {
        name: ",".join(str(row["row"]) for row in chosen)
        for name, chosen in (("confirmed", confirmed), ("normal", normal))
    }
    monkeypatch.chdir(tmp_path)
    args = marked(client, run, tmp_path, **marks)
    own_tables.check(args)
    refs = {row["origin"]["ids"][0]: "confirmed" for row in confirmed}
    refs |= {row["origin"]["ids"][0]: "normal" for row in normal}
    own = {line[0]: line[-1] for line in file[1:]}
    found = list(csv.DictReader((tmp_path / "payments-labelled.csv").open()))
    assert [line["ref"] for line in found] == list(own)
    for line in found:
        mark = refs.get(line["ref"])
        if run is UNLABELLED_RUN:
            assert line["label"] == (mark or UNLABELLED)
            assert line["class"] == own[line["ref"]]
        else:
            expected = {None: own[line["ref"]], "confirmed": "fraud", "normal": "fine"}[mark]
            assert line["class"] == expected
    if run is UNLABELLED_RUN:
        assert args.experiment.known == ("confirmed",)
        assert args.experiment.normal == (UNLABELLED, "normal")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "no row is marked"), ({"normal": "9999"}, "no row 9999"), ({"normal": "x"}, "normal")],
)
def test_marks_that_are_none(client, changes, words):
    query = {k: v for k, v in OWN.items() if k not in ("view", "run")}
    response = client.get("/api/labelled.csv", params=query | changes)
    assert response.status_code in (404, 422)
    assert words in response.text


def test_only_own_tables_take_marks(settings):
    query = {k: v for k, v in RUN.items() if k not in ("view", "run")} | {"normal": "1"}
    response = client_of(settings).get("/api/labelled.csv", params=query)
    assert response.status_code == 422
    assert "no table of your own" in json.loads(response.text)["detail"]
