"""Every address of the dashboard: right numbers, refused requests, nothing outside its folders."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from served import (
    EXPERIMENT,
    MODEL,
    PLACE,
    RUN,
    client_of,
    copy_result,
    handler,
    kept_scores,
    view,
)
from sklearn.metrics import average_precision_score, roc_auc_score
from test_datasets import LINE

from app.figures import over_seeds
from app.rows import FEW
from app.schemas import Line
from app.security import HEADERS
from app.settings import Settings
from libs import Metrics
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.detectors.detector import Detector
from libs.experiments import averages
from libs.experiments.result_files import write_results
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import Row
from libs.reporting import collection

ROOT = Path(__file__).parent.parent
ADDRESSES = {
    "/api/results": {},
    "/api/metrics": {"data_set": "digits", "protocol": "a3"},
    "/api/scores": RUN,
    "/api/thresholds": RUN,
    "/api/about": RUN,
    "/api/rows.csv": RUN | {"threshold": 0.5},
    "/api/rows": RUN | {"threshold": 0.5},
    "/api/row": RUN | {"row": 3},
    "/api/models": {},
    "/api/expected": {"model": MODEL},
    "/api/example": {"model": MODEL},
}


@pytest.fixture(scope="module")
def client(settings) -> TestClient:
    return client_of(settings)


def ok(response):
    assert response.status_code == 200, response.text
    return response


# --- numbers -------------------------------------------------------------------------------------
def test_results_are_what_lies_on_the_disk(client, settings):
    listed = ok(client.get("/api/results")).json()["listed"]
    assert len(listed) == len(list(settings.results.glob("*/*/*/*/test/experiment.json"))) == 3
    (first,) = [line for line in listed if {k: line[k] for k in PLACE} == PLACE]
    assert first["views"]["transfer"] == "0, 1, 4 against 2, 3"
    assert set(first["views"]) == {"known", "transfer", "unknown"}
    assert {line["base"] for line in listed} == {PLACE["experiment"]}
    assert sorted(line["p_contamination"] for line in listed) == [0, 0, 0.05]


def test_metrics_over_seeds_are_those_of_the_summary(client, settings):
    found = ok(client.get("/api/metrics", params=ADDRESSES["/api/metrics"])).json()
    table = averages.over_seeds(collection.collect(settings.results, "test", []))
    spread = {(s["experiment"], s["view"], s["run"]): s for s in found["spread"]}
    assert len(spread) == len(table) == 2 * 3 * 4
    for _, row in table.iterrows():
        mine = spread[row["experiment"], row["view"], row["run"]]
        for name in ("AUC_mean", "AUC_std", "AP_mean", "AP_std", "prevalence", "epochs", "seconds"):
            expected = None if np.isnan(row[name]) else pytest.approx(row[name])
            assert mine[name] == expected, name
        assert len(mine["seeds"]) == row["AUC_count"]


def test_scores_give_the_metrics_of_the_files(client, settings):
    response = ok(client.get("/api/scores", params=RUN))
    n = len(response.content) // 5
    scores = np.frombuffer(response.content[: 4 * n], "<f4")
    labels = np.frombuffer(response.content[4 * n :], np.uint8)
    _, y, expected = view(settings)
    assert np.array_equal(np.sort(expected)[::-1], scores)
    assert (int(response.headers["x-normal-rows"]), int(response.headers["x-anomalous-rows"])) == (
        (y == 0).sum(),
        (y == 1).sum(),
    )
    assert roc_auc_score(labels, scores) == pytest.approx(roc_auc_score(y, expected), abs=1e-12)
    lines = ok(client.get("/api/metrics", params=ADDRESSES["/api/metrics"])).json()["lines"]
    (line,) = [
        line
        for line in lines
        if all(line[k] == RUN[k] for k in ("experiment", "seed", "view", "run"))
    ]
    assert line["AUC"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-5)
    assert line["AP"] == pytest.approx(average_precision_score(labels, scores), abs=1e-5)


def test_many_scores_are_an_even_choice(settings):
    few = client_of(replace(settings, scores=60))
    response = ok(few.get("/api/scores", params=RUN))
    n = len(response.content) // 5
    scores = np.frombuffer(response.content[: 4 * n], "<f4")
    labels = np.frombuffer(response.content[4 * n :], np.uint8)
    _, y, whole = view(settings)
    assert 50 <= n <= 60
    assert int(response.headers["x-normal-rows"]) == (y == 0).sum()
    for label in (0, 1):
        kept = scores[labels == label]
        assert {kept.min(), kept.max()} == {whole[y == label].min(), whole[y == label].max()}
        assert abs(np.median(kept) - np.median(whole[y == label])) < 0.1
    assert roc_auc_score(labels, scores) == pytest.approx(roc_auc_score(y, whole), abs=0.03)


def test_thresholds_come_from_validation_rows(client, settings):
    detector = Detector.load(next(settings.models.glob("digits/a3/1/*/A3/[!.]*")))
    found = ok(client.get("/api/thresholds", params=RUN)).json()
    normal = detector.calibration_scores_[:, 1]
    expected = {
        f"FPR {100 * rate:g} %": Metrics.threshold_at(normal, rate)
        for rate in (0.05, 0.01)
        if rate * len(normal) >= 1
    }
    assert expected
    assert {t["name"]: t["threshold"] for t in found} == expected


def test_thresholds_of_a_do_script_are_offered(connections):
    folder = connections.results.joinpath(*map(str, list(CONNECTIONS.values())[:4]), "test")
    lines = ["run,rule,threshold,F1", "Noise,FPR,0.25,1", "Noise,F1,,", "Other,F1,0.5,1", ""]
    (folder / "known.thresholds.csv").write_text("\n".join(lines))
    found = ok(client_of(connections).get("/api/thresholds", params=CONNECTIONS)).json()
    assert [(t["name"], t["threshold"]) for t in found] == [("FPR", 0.25)]


# --- rows ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("chosen", ["all", "flagged", "false positives", "false negatives"])
def test_rows_of_a_filter(client, settings, chosen):
    numbers, y, scores = view(settings)
    threshold = float(np.quantile(scores, 0.6))
    flagged = scores > threshold
    wanted = {
        "all": np.ones(len(y), bool),
        "flagged": flagged,
        "false positives": flagged & (y == 0),
        "false negatives": ~flagged & (y == 1),
    }[chosen]
    query = RUN | {"threshold": threshold, "filter": chosen, "limit": 7, "offset": 2}
    found = ok(client.get("/api/rows", params=query)).json()
    assert found["total"] == wanted.sum() > 2
    order = numbers[wanted][np.argsort(scores[wanted], kind="stable")[::-1]]
    assert [row["row"] for row in found["rows"]] == order[2:9].tolist()
    assert [row["label"] for row in found["rows"]] == y[order[2:9]].tolist()


def test_images_are_pixels_from_0_to_1(client, settings):
    found = ok(client.get("/api/rows", params=RUN | {"threshold": 0, "sort": "row", "limit": 3}))
    found = found.json()
    raw, _ = handler().raw_rows(EXPERIMENT, "test")
    assert found["image"] == [8, 8]
    last = len(raw) - 1
    assert [row["row"] for row in found["rows"]] == [last, last - 1, last - 2]
    expected = raw[np.array([last])].ravel() / 16
    assert found["rows"][0]["values"] == pytest.approx(expected, abs=6e-4)


@pytest.fixture(scope="module")
def connections(tmp_path_factory) -> Settings:
    """Results on rows with numbers and text, without models."""
    folder = tmp_path_factory.mktemp("connections")
    rng = np.random.default_rng(0)
    (folder / "NSL-KDD").mkdir()
    for name in ("KDDTrain+.txt", "KDDTest+.txt"):
        lines = []
        for i in range(80):
            label = ("normal", "normal", "neptune", "satan")[i % 4]
            line = LINE.format(label=label).replace(",181,", f",{rng.integers(0, 5000)},")
            lines.append(line.replace("tcp,http", ("tcp,http", "udp,domain_u")[i % 3 == 0]))
        (folder / "NSL-KDD" / name).write_text("\n".join(lines) + "\n")
    data = datasets.load("nslkdd", folder)
    maker = DataHandler(data, SplitRules(validation=0.2), 5)
    experiment = Experiment(("normal",), ("DoS",), ("Probe",))
    splits = maker.split(experiment)
    conditions = Conditions(maker.describe(), "a3", experiment)
    rows = [Row("Noise", rng.random(len(splits.classes_test), np.float32), {"rows": 9}), Row("Bad")]
    place = folder / "results" / data.name / "a3/5" / experiment.name / "test"
    write_results(place, splits, "test", [rows[0], replace(rows[1], error="broke")], conditions)
    return Settings(results=folder / "results", models=folder / "none", data_path=folder)


CONNECTIONS = {
    "data_set": "nslkdd-sample",
    "protocol": "a3",
    "seed": 5,
    "experiment": "normal_known_DoS_unknown_Probe",
    "view": "known",
    "run": "Noise",
}


def test_rows_are_in_raw_units_and_sorted_by_any_feature(connections):
    client = client_of(connections)
    data = datasets.load("nslkdd", connections.data_path)
    names = list(data.features)
    for name, descending in (("src_bytes", True), ("src_bytes", False), ("service", False)):
        query = CONNECTIONS | {"threshold": 0.5, "feature": name, "descending": descending}
        found = ok(client.get("/api/rows", params=query | {"limit": 200, "wide": True})).json()
        heads = [column["name"] for column in found["columns"]]
        assert len(heads) == 41
        assert found["total"] == 60  # the view known leaves Probe out
        values = [row["values"][heads.index(name)] for row in found["rows"]]
        assert values == sorted(values, reverse=descending)
        for row in found["rows"][:5]:
            raw = data.x_test[row["row"]]
            assert row["values"][heads.index("src_bytes")] == raw[names.index("src_bytes")]
            service = row["values"][heads.index("service")]
            assert raw[names.index(f"service={service}")] == 1
            assert row["class"] == data.classes_test[row["row"]]


def test_one_row_beside_normal_ones(connections):
    client = client_of(connections)
    found = ok(client.get("/api/row", params=CONNECTIONS | {"row": 2})).json()
    data = datasets.load("nslkdd", connections.data_path)
    at = [column["name"] for column in found["columns"]].index("src_bytes")
    normal = data.x_test[data.classes_test == "normal", data.features.index("src_bytes")]
    usual = [found["normal"][at][name] for name in ("low", "median", "high")]
    assert usual == pytest.approx(np.quantile(normal, (0.05, 0.5, 0.95)), rel=1e-5)
    assert found["normal"][-1]["median"] is None  # text
    assert found["normal"][-1]["frequency"] > 0
    outside = client.get("/api/row", params=CONNECTIONS | {"row": 3})  # Probe, not in the view
    assert outside.status_code == 404


def test_a_page_of_a_wide_table_has_few_columns(connections):
    """And the one that it is sorted by."""
    client = client_of(connections)
    query = CONNECTIONS | {"threshold": 0.5, "feature": "dst_host_rerror_rate"}
    found = ok(client.get("/api/rows", params=query)).json()
    assert (len(found["columns"]), found["more"]) == (FEW + 1, 41 - FEW - 1)
    assert found["columns"][-1]["name"] == "dst_host_rerror_rate"
    assert {len(row["values"]) for row in found["rows"]} == {FEW + 1}


def test_precisions_are_never_averaged():
    """A run of two precisions is two rows; a failed seed counts with the first."""
    same = {"protocol": "a3", "experiment": "e", "view": "known", "run": "A3-n5"}
    same |= dict.fromkeys(("prevalence", "rows", "epochs", "updates", "seconds", "jointly"), 1.0)

    def line(seed: int, precision: str, auc: float | None, error: str = "") -> Line:
        return Line(**same, seed=seed, precision=precision, AUC=auc, AP=auc, error=error)

    lines = [line(1, "float32", 0.8), line(2, "bfloat16", 0.4), line(3, "float32", 0.6)]
    found = over_seeds([*lines, line(4, "", None, "broke")])
    assert [(s.label, s.AUC_mean, s.seeds, s.errors) for s in found] == [
        ("A3-n5 (float32)", pytest.approx(0.7), [1, 3], ["broke"]),
        ("A3-n5 (bfloat16)", 0.4, [2], []),
    ]
    assert [s.label for s in over_seeds(lines[:1])] == ["A3-n5"]


def test_metrics_of_all_protocols(settings, tmp_path):
    shutil.copytree(settings.results, tmp_path / "results")
    shutil.copytree(settings.results / "digits/a3", tmp_path / "results/digits/best")
    client = client_of(replace(settings, results=tmp_path / "results"))
    spread = ok(client.get("/api/metrics", params={"data_set": "digits"})).json()["spread"]
    assert Counter(line["protocol"] for line in spread) == {"a3": 24, "best": 24}


def test_failed_methods_are_told(connections):
    lines = ok(
        client_of(connections).get(
            "/api/metrics", params={"data_set": "nslkdd-sample", "protocol": "a3"}
        )
    ).json()["lines"]
    assert {line["error"] for line in lines if line["run"] == "Bad"} == {"broke"}
    assert client_of(connections).get(
        "/api/scores", params=CONNECTIONS | {"run": "Bad"}
    ).status_code == (404)


def test_without_raw_files_rows_have_scores_only(connections, tmp_path):
    client = client_of(replace(connections, data_path=tmp_path))
    found = ok(client.get("/api/rows", params=CONNECTIONS | {"threshold": 0.5})).json()
    assert "KDDTrain+" in found["note"]
    assert found["total"] == 60
    assert found["rows"][0]["values"] == []
    assert found["rows"][0]["score"] > 0.5


def test_other_raw_files_are_not_shown(connections, tmp_path):
    shutil.copytree(connections.data_path / "NSL-KDD", tmp_path / "NSL-KDD")
    path = tmp_path / "NSL-KDD/KDDTest+.txt"
    path.write_text(path.read_text().replace("http", "smtp"))
    client = client_of(replace(connections, data_path=tmp_path))
    found = ok(client.get("/api/rows", params=CONNECTIONS | {"threshold": 0.5})).json()
    assert "not those" in found["note"]
    assert found["rows"][0]["values"] == []


# --- what is refused -----------------------------------------------------------------------------
HOSTILE = [
    "../../../../etc/passwd",
    "..",
    "/etc",
    "digits/../../x",
    "a\0b",
    "%2e%2e",
    "",
    "x" * 999,
]


@pytest.mark.parametrize("address", [a for a in ADDRESSES if ADDRESSES[a]])
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.slow
def test_names_are_looked_up_never_opened(client, address, hostile):
    for name, value in ADDRESSES[address].items():
        if isinstance(value, str):
            query = ADDRESSES[address] | {name: hostile}
            assert client.get(address, params=query).status_code in (404, 422), name


@pytest.mark.parametrize(
    "path",
    ["/../api.py", "/..%2fapi.py", "/%2e%2e/api.py", "/static/../../README.md", "//etc/passwd"],
)
def test_static_files_end_at_their_folder(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "import" not in response.text


def test_links_out_of_the_folders_are_the_owners_own_doing(client):
    """What is listed may be a link; what is not listed has no name."""
    assert client.get("/api/scores", params=RUN | {"seed": 99}).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [{"threshold": "nan"}, {"limit": 0}, {"offset": -1}, {"filter": "x"}, {"more": 1}, {"row": -1}],
)
def test_wrong_words_are_422(client, changes):
    address = "/api/row" if "row" in changes else "/api/rows"
    response = client.get(address, params=ADDRESSES[address] | changes)
    assert response.status_code == 422
    assert next(iter(changes)) in response.text


def test_a_page_of_rows_has_a_limit(settings):
    client = client_of(replace(settings, page=4))
    found = ok(client.get("/api/rows", params=RUN | {"threshold": 0, "limit": 10_000})).json()
    assert len(found["rows"]) == 4


def test_every_answer_has_the_headers(client):
    for address, query in [*ADDRESSES.items(), ("/", {}), ("/main.js", {}), ("/nothing", {})]:
        response = client.get(address, params=query)
        for name, value in HEADERS.items():
            assert response.headers[name] == value, address
        assert not response.cookies
        assert not [name for name in response.headers if name.startswith("access-control")]
    refused = client.get("/", headers={"Host": "evil.example"})
    assert refused.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.2:8050", "[::1"]
)
def test_other_names_of_this_machine_are_refused(client, host):
    response = client.get("/api/results", headers={"Host": host})
    assert response.status_code == 421


def test_names_that_were_allowed(settings):
    client = client_of(replace(settings, hosts=("dash.example", ".cml.example")))
    for host, status in (
        ("dash.example", 200),
        ("a.cml.example:443", 200),
        ("cml.example", 421),
        ("127.0.0.1", 421),
    ):
        assert client.get("/api/results", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"Origin": "http://127.0.0.1:8050"}, 404),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[evil"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8050"}, 403),
    ],
)
def test_only_the_own_page_may_send(client, headers, status):
    for address in ("/api/predict", "/api/score?model=none&name=x"):
        body = {"model": "none", "data": [{"a": 1}]}
        assert client.post(address, json=body, headers=headers).status_code == status


# --- damaged files -------------------------------------------------------------------------------
def test_damaged_results_are_named_and_the_others_shown(settings, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(settings.results, results)
    client = client_of(replace(settings, results=results))
    broken = copy_result(results, seed=7, p=0.0)
    (broken / "experiment.json").write_text("{")
    (results / "digits/a3/2" / PLACE["experiment"] / "test/scores.npz").write_bytes(b"PK")
    (results / "digits/a3/2" / PLACE["experiment"] / "test/known.metric.csv").write_text("a\n1\n")
    listed = ok(client.get("/api/results")).json()["listed"]
    assert [bool(line["problem"]) for line in listed].count(True) == 1
    (damaged,) = [line["problem"] for line in listed if line["problem"]]
    assert "experiment.json is damaged" in damaged
    response = client.get("/api/scores", params=RUN | {"seed": 2})
    assert response.status_code == 422
    assert "scores.npz cannot be read" in response.text
    problems = ok(client.get("/api/metrics", params=ADDRESSES["/api/metrics"])).json()["problems"]
    assert any("known.metric.csv" in problem for problem in problems)


def test_missing_scores_are_told_with_the_command(settings, tmp_path):
    """Git keeps metrics, but the scores of few runs."""
    results = tmp_path / "results"
    shutil.copytree(settings.results, results, ignore=shutil.ignore_patterns("scores.npz"))
    client = client_of(replace(settings, results=results))
    ok(client.get("/api/metrics", params=ADDRESSES["/api/metrics"]))
    response = client.get("/api/scores", params=RUN)
    assert response.status_code == 404
    assert f"run python evaluate_models.py {RUN['seed']} test" in response.text


def test_pickled_scores_are_refused(settings, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(settings.results, results)
    kept = kept_scores(settings)
    hostile = np.empty(len(kept["classes"]), object)
    hostile[:] = [{"__reduce__": 1}] * len(hostile)
    path = results.joinpath(*map(str, PLACE.values()), "scores.npz")
    np.savez(path, **kept | {"A3-n10": hostile})
    response = client_of(replace(settings, results=results)).get("/api/scores", params=RUN)
    assert response.status_code == 422
    assert "Object arrays cannot be loaded" in response.text


def test_new_results_are_seen_without_a_restart(settings, tmp_path):
    results = tmp_path / "results"
    client = client_of(replace(settings, results=results))
    assert ok(client.get("/api/results")).json()["listed"] == []
    shutil.copytree(settings.results, results)
    assert len(ok(client.get("/api/results")).json()["listed"]) == 3
    before = ok(client.get("/api/scores", params=RUN)).content
    path = results.joinpath(*map(str, PLACE.values()), "scores.npz")
    kept = kept_scores(settings)
    np.savez(path, **kept | {"A3-n10": kept["A3-n10"] / 2})
    assert ok(client.get("/api/scores", params=RUN)).content != before


# --- the script ----------------------------------------------------------------------------------
def test_results_need_nothing_that_is_slow_to_start(settings):
    """The first page comes at once: what takes a second to import waits for rows and models."""
    code = f"""
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from app.api import create_app
from app.settings import Settings
settings = Settings(results=Path({str(settings.results)!r}), models=Path({str(settings.models)!r}))
client = TestClient(create_app(settings), base_url="http://127.0.0.1")
run = {RUN!r}
study = dict(data_set="digits", protocol="a3")
for path, query in (("/", {{}}), ("/main.js", {{}}), ("/api/results", {{}}),
                    ("/api/metrics", study), ("/api/scores", run), ("/api/thresholds", run)):
    assert client.get(path, params=query).status_code == 200, path
print(sorted({{"tensorflow", "sklearn", "pandas", "polars", "matplotlib"}} & sys.modules.keys()))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_script_serves_on_the_loopback_only(settings):
    folders = ["--results", settings.results, "--models", settings.models]
    command = [sys.executable, "dashboard.py", "--port", "0", *map(str, folders)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/api/results", timeout=30) as response:
                assert len(json.load(response)["listed"]) == 3
            port = int(address.rsplit(":", 1)[1])
            for name in socket.gethostbyname_ex(socket.gethostname())[2]:
                if not name.startswith("127."):
                    with pytest.raises(OSError, match="refused"):
                        socket.create_connection((name, port), timeout=5)
        finally:
            process.terminate()
