"""do_csv.py: a table of one's own under every protocol, with labels and without."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import touch_roc_pictures
from documents import blocks, python_calls
from processes import ROOT, run
from test_datahandler import data_set

from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets.splits.rows import cut_rows
from libs.datasets.tabular.reading import Block, read
from libs.experiments.file_scoring import Scorer
from libs.experiments.protocols import best
from libs.utils.storage import read_manifest

N = 400
LABELS = ["--label", "class", "--normal", "benign", "calm", "--known", "dos"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two kinds of normal rows, two of attacks; numbers, a text column, and a constant one."""
    rng = np.random.default_rng(0)
    classes = np.array(["benign", "benign", "calm", "dos", "bot"])[np.arange(N) % 5]
    attack = np.isin(classes, ["dos", "bot"])
    values = rng.normal(size=(N, 5)).round(4) + 2 * attack[:, None]
    columns = {f"v{i}": values[:, i] for i in range(5)}
    columns |= {"protocol": rng.choice(["tcp", "udp"], N), "one": 1, "class": classes}
    path = tmp_path_factory.mktemp("own") / "flows.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Forests of few trees, which are written and read faster, and no ROC pictures."""
    few = {"noise_trees": 30, "known_trees": (30, 30), "n_estimators": 30}
    published = best.best_methods

    def brief(*args) -> dict:
        methods = published(*args)
        for method in methods.values():
            settings = method.get_params(deep=False)
            method.set_params(**{name: few[name] for name in few if name in settings})
        return methods

    monkeypatch.setattr(best, "best_methods", brief)
    touch_roc_pictures(monkeypatch)


def start(table, folder, *words) -> int:
    places = ["--model_path", folder / "models", "--result_path", folder / "results"]
    quick = ["--protocol", "a3", "--dims", 8, 4, "--n_epochs", 1]
    return run("do_csv.py", table, 7, "test", *quick, *words, *places)


@pytest.mark.slow
def test_our_settings_are_the_default(table, tmp_path):
    """The Ensemble and the rivals that take no time; without labels those that need none."""
    places = ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    quick = ["--methods", "Ensemble", "ExtraTrees", "--n_train_anomalies", 5, 10, *places]
    assert run("do_csv.py", table, 7, "test", *LABELS, *quick) == 0
    (path,) = tmp_path.glob("results/csv-flows/best/7/*/test/known.metric.csv")
    metrics = pd.read_csv(path, index_col=0)
    assert metrics.loc[metrics.index.str.startswith("Ensemble"), "AUC"].min() > 0.8
    methods = {name.rsplit("-n", 1)[0] for name in metrics.index}
    assert methods == {"Ensemble", "ExtraTrees"}
    assert run("do_csv.py", table, 7, "test", "--methods", "Ensemble", "KNN", *places) == 0


@pytest.mark.slow
def test_labelled(table, tmp_path, capsys):
    """Columns are shown; what is not named is unknown; scores are those of the raw file."""
    words = [*LABELS, "--n_train_anomalies", 5, 10, "--methods", "A3", "IsolationForest"]
    assert start(table, tmp_path, *words) == 0
    out = capsys.readouterr().out
    assert "2 features: tcp, udp" in out
    assert "dropped: constant" in out
    assert re.search(r"undertrained, with fewer than 500 updates: .*A3 \(\d+\)", out)
    place = "csv-flows/a3-e1/7/benign+calm_known_dos_unknown_bot"
    metrics = pd.read_csv(tmp_path / "results" / place / "test/transfer.metric.csv", index_col=0)
    assert {"A3-n5", "A3-n10", "Autoencoder", "IsolationForest"} == set(metrics.index)
    assert metrics.loc["IsolationForest", "AUC"] > 0.8
    model = tmp_path / "models" / place / "A3"
    about = read_manifest(model / "n5+10")["run"]["data"]
    assert about["table"]["files"] == [str(table.resolve())]
    assert about["table"]["label"] == "class"
    (block,) = read(table)
    found = Scorer(model).columns(block)
    with np.load(tmp_path / "results" / place / "test/scores.npz") as kept:
        _, test = cut_rows(np.arange(N), 0.2, 7, "test")
        for budget in (5, 10):
            scores = found[f"score-n{budget}"][test]
            np.testing.assert_allclose(scores, kept[f"A3-n{budget}"], rtol=1e-5)
        assert set(kept["classes"]) == {"benign", "calm", "dos", "bot"}


@pytest.mark.slow
def test_evaluated_again(table, tmp_path):
    """evaluate_models.py builds the table again from the manifest, wherever it lies now."""
    moved = tmp_path / "flows.csv"
    moved.write_bytes(table.read_bytes())
    words = [*LABELS, "--n_train_anomalies", 5, "--methods", "DevNet"]
    for protocol in ("a3", "r2ad2"):
        assert start(moved, tmp_path, *words, "--protocol", protocol) == 0
    (tmp_path / "raw").mkdir()
    moved.rename(tmp_path / "raw/flows.csv")
    words = ["--in_path", tmp_path / "models", "--out_path", tmp_path / "again"]
    assert run("evaluate_models.py", 7, *words, "--data_path", tmp_path / "raw") == 0
    result = pd.read_csv(tmp_path / "again/all_results/all_results_7.csv")
    assert set(result["protocol"]) == {"a3-e1", "r2ad2-e1"}
    assert (result["largest_difference"] == 0).all()
    (tmp_path / "raw/flows.csv").write_text(moved.name)
    assert run("evaluate_models.py", 7, *words, "--data_path", tmp_path / "raw") == 2


@pytest.mark.slow
def test_unsupervised(table, tmp_path, capsys):
    """Without a label everything counts as normal; scores, no metrics."""
    words = ["--protocol", "deepad", "--methods", "MeanDistance", "IsolationForest"]
    assert start(table, tmp_path, *words) == 0
    assert "scores, but no metrics" in capsys.readouterr().out
    folder = tmp_path / "results/csv-flows/deepad-e1/7/unlabelled/test"
    assert {p.name for p in folder.iterdir()} >= {"scores.npz", "experiment.json"}
    assert not list(folder.glob("*.metric.csv"))
    with np.load(folder / "scores.npz") as kept:
        assert len(kept["MeanDistance"]) == N / 5
        assert np.isfinite(kept["IsolationForest"]).all()
    assert json.loads((folder / "experiment.json").read_text())["data"]["table"]["label"] is None
    model = tmp_path / "models/csv-flows/deepad-e1/7/unlabelled/MeanDistance"
    assert read_manifest(model / "run")["training"]["rows"] == N * 0.8 * 0.95
    words = ["--in_path", tmp_path / "models", "--out_path", tmp_path / "again"]
    assert run("evaluate_models.py", 7, *words) == 2
    assert "with labels" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "method"), [("a3", "A3"), ("r2ad2", "DeepSAD"), ("argue", "ARGUE")]
)
def test_protocols(table, tmp_path, protocol, method):
    """Each also without known anomalies, and ARGUE with experts for the normal classes."""
    words = [*LABELS[:-2], "--protocol", protocol, "--methods", method]
    assert start(table, tmp_path, *words) == 0
    (path,) = (tmp_path / "results").glob("*/*/7/*/test/unknown.metric.csv")
    assert f"{method}-n0" in set(pd.read_csv(path)["run"])
    assert path.parts[-3] == "benign+calm_unknown_bot+dos"


@pytest.mark.slow
def test_other_files_are_other_settings(table, tmp_path, capsys):
    path = tmp_path / "flows.csv"
    path.write_bytes(table.read_bytes())
    words = ["--protocol", "deepad", "--methods", "MeanDistance"]
    assert start(path, tmp_path, *words) == 0
    assert start(path, tmp_path, *words) == 0
    path.write_bytes(table.read_bytes().replace(b"udp", b"tcp", 1))
    assert start(path, tmp_path, *words) == 2
    assert re.search(r"fingerprint: found \w{8}, wanted \w{8}\b", capsys.readouterr().err)
    assert start(path, tmp_path, *words, "--override") == 0


def test_wrong_input(table, tmp_path, capsys):
    def refused(*words) -> str:
        assert start(table, tmp_path, *words) == 2
        return capsys.readouterr().err

    assert "they are benign, bot, calm, dos" in refused("--label", "class")
    assert "need --label" in refused("--normal", "benign")
    assert "no column 'klass' for --label" in refused("--label", "klass", "--normal", "benign")
    told = refused(*LABELS[:2], "--normal", "benign", "--known", "evil")
    assert "no class evil; its classes are benign (160), calm (80), dos (80), bot (80)" in told
    assert "name --known" in refused(*LABELS[:-2], "--n_train_anomalies", 5)
    gone = tmp_path / "none.csv"
    assert start(gone, tmp_path) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_mistakes_are_told_before_tensorflow_starts(table, tmp_path):
    """A mistyped name of a file, a table with problems, a model that is not there."""
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n" + "1,x\n2,\n" * 9 + "two,x\n")
    code = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as error:
    assert error.code == 2
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    for words in (
        ["do_csv.py", tmp_path / "none.csv", 1, "test"],
        ["do_csv.py", bad, 1, "test", "--label", "b"],
        ["do_csv.py", table, 1, "test", "--label", "class", "--normal", "bening"],
        ["score.py", tmp_path / "model", table, "--out", tmp_path / "s.csv"],
    ):
        command = [sys.executable, "-c", code, str(ROOT / words[0]), *map(str, words[1:])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("error: ")


def test_a_look(table, tmp_path, capsys):
    """A file alone, or a label that it does not have: what is in it, and a command that works."""
    assert run("do_csv.py", table, "--missing", "median", "--drop", "v0") == 0
    assert f"{table} 1 test --missing median --drop v0\n" in capsys.readouterr().out
    assert run("do_csv.py", table) == 0
    out = capsys.readouterr().out
    assert "400 rows, 8 columns" in out
    assert "class: benign (160), bot (80), calm (80), dos (80)" in out
    assert "one: always 1" in out
    assert f"do_csv.py {table} 1 test --label class --normal benign --known bot" in out
    assert run("do_csv.py", table, "--label", "class") == 0
    out = capsys.readouterr().out
    assert f"do_csv.py {table} 1 test\n" in out
    assert f"do_csv.py {table} 1 test --label class --normal benign --known bot" in out
    assert start(table, tmp_path, "--label", "klass") == 2
    told = capsys.readouterr()
    assert "class: benign (160)" in told.out
    assert "no column 'klass'" in told.err


@pytest.mark.parametrize("words", [(), ("1",), ("1", "tset")])
def test_a_training_without_seed_or_rows_says_what_it_wants(words, table, capsys):
    assert run("do_csv.py", table, *words, "--label", "class", "--normal", "benign") == 2
    err = capsys.readouterr().err
    assert "{val,test}" in err.splitlines()[-1]
    assert "unrecognized" not in err


def test_what_is_not_named_is_settled_and_said(tmp_path, capsys):
    """The majority is normal, budgets shrink, ids and other notations go on to score.py."""
    rng = np.random.default_rng(0)
    lines = [f"k{i};{rng.normal():.3f};{'bad' if i % 10 == 0 else 'good'}" for i in range(N)]
    path = tmp_path / "t.csv"
    path.write_text("id;x;class\n" + "\n".join(lines).replace(".", ",") + "\n")
    words = ["--label", "class", "--methods", "MeanDistance", "IsolationForest", "--decimal", ","]
    words += ["--protocol", "deepad", "--known", "bad", "--id", "id"]
    assert start(path, tmp_path, *words, "--n_train_anomalies", 10, 500) == 0
    out = capsys.readouterr().out
    assert "normal: good, the majority (360 of 400 rows)" in out
    assert "instead of 10 500: the training rows hold" in out
    (line,) = [line for line in out.splitlines() if "score.py" in line]
    scores = tmp_path / "scores.csv"
    command = line.split()[1:]
    command[command.index("--out") + 1] = str(scores)
    assert run(*command) == 0
    found = pd.read_csv(scores)
    assert list(found)[:5] == ["file", "row", "line", "id", "score"]
    assert found["id"].tolist() == [f"k{i}" for i in range(N)]
    assert found["line"].tolist() == list(range(2, N + 2))
    assert "explain.py" in out
    assert "dashboard.py --models" in out


@pytest.fixture(scope="module")
def payments(tmp_path_factory):
    """Without labels: a key, a date, and 20 rows with an amount that no other has."""
    rng = np.random.default_rng(0)
    odd = np.arange(N) % 20 == 7
    columns = {
        "key": [f"k{i}" for i in range(N)],
        "amount": np.where(odd, rng.uniform(500, 9000, N), rng.normal(50, 5, N)).round(2),
        "when": [f"2024-03-{1 + i % 30:02} {i % 24:02}:15" for i in range(N)],
        "kind": rng.choice(["card", "cash"], N),
        "currency": "EUR",
    }
    path = tmp_path_factory.mktemp("own") / "payments.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


@pytest.mark.slow
def test_a_table_without_labels_ends_in_ranked_rows(payments, tmp_path, capsys):
    """A histogram, a threshold by number, rows with reasons, and commands that work when pasted."""
    places = ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    words = ["--methods", "Ensemble", "--id", "key", "--threshold", "alerts=4", *places]
    assert run("do_csv.py", payments, 7, "test", *words) == 0
    out = capsys.readouterr().out
    assert "Ensemble: scores of 80 rows that it has not been trained on" in out
    assert "█" in out
    assert re.search(r"threshold \S+, for 4 alerts: [1-4] flagged", out)
    assert "when date 3 features: hour, weekday, age" in re.sub(" +", " ", out)
    rows = re.findall(r"^ *(\d+) +k(\d+) +\S+ +(.*)$", out, re.M)
    assert len(rows) == 10
    for line, key, reasons in rows[:3]:
        assert int(line) == int(key) + 2
        assert int(key) % 20 == 7
        assert re.search(r"amount \d{3,4}\.", reasons)
    score, explain = (next(x for x in out.splitlines() if s in x) for s in ("score.py", "explain."))
    command = score.split()[1:]
    command[command.index("scores.csv")] = str(tmp_path / "scores.csv")
    assert run(*command) == 0
    found = pd.read_csv(tmp_path / "scores.csv")
    assert 0 < found["anomaly"].sum() <= 4
    assert list(found)[-2:] == ["feature_3", "contribution_3"]
    assert run(*explain.split()[1:]) == 0
    (path,) = tmp_path.glob("models/csv-payments/best/7/unlabelled/Ensemble/*/explained.csv")
    table = pd.read_csv(path)
    assert list(table)[:7] == ["file", "row", "line", "key", "currency", "class", "score"]
    assert (table["line"] == table["key"].str[1:].astype(int) + 2).all()
    assert set(table["file"]) == {str(payments.resolve())}
    assert set(table["feature"]) >= {"amount", "when hour", "when age", "kind=card"}


def test_rates_that_validation_rows_do_not_allow_are_an_error(payments, tmp_path, capsys):
    places = ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    words = ["--methods", "KNN", "--threshold", "fpr=.001", *places]
    assert run("do_csv.py", payments, 7, "test", *words) == 2
    assert "needs at least 1000 validation rows, there are 32" in capsys.readouterr().err


def test_models_of_other_data_sets_know_their_columns():
    """Rows of a built-in data set, by the names of its features, in any order."""
    handler = DataHandler(data_set(300), SplitRules(scale_on="normal"), 1)
    splits = handler.split(Experiment(("a", "b"), ("c",)))
    raw = handler.data.x[handler._train][np.isin(handler.data.classes[handler._train], ["a", "b"])]
    frame = pl.DataFrame(
        {name: raw[:, i].astype(str) for i, name in [(2, "v"), (0, "id"), (1, "u")]}
    )
    x = handler.encoder(splits).rows(Block(frame, "here", range(1, len(raw) + 1)))
    np.testing.assert_array_equal(x, splits.x_train)


@pytest.mark.slow
def test_the_worked_example_of_the_docs(tmp_path, monkeypatch, capsys):
    """Code and commands of docs/own-data.md, on fewer rows: labels find the fraud."""
    text = (ROOT / "docs/own-data.md").read_text().split("## From a table to a decision")[1]
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(text, "python")
    assert "4_000" in code
    exec(code.replace("4_000", "1_500"), names := {})
    fraud, found = names["verdict"] == "fraud", []
    for words in python_calls(blocks(text, "sh")[0]):
        assert run(*words) == 0, words
        if "--explain" in words:
            scored = pd.read_csv("today.scores.csv").query("anomaly == 1")
            assert len(scored) == 20
            reasons = set(scored["feature_1"])
            assert reasons <= {"amount", "when"} if "csv-judged" in words[1] else "kind" in reasons
            found.append(fraud[scored["row"] - 1].sum())
    unlabelled, labelled = found
    assert unlabelled < labelled >= 0.9 * min(20, fraud.sum())
