"""Explanations of saved runs: pictures, tables, and the strongest columns of flagged rows."""

import runpy
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import make, touch_roc_pictures, toy
from matplotlib.image import imread

from app.explaining import _words
from baselines import Autoencoder, IsolationForest
from libs.A3 import A3
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.schema import Column, Schema
from libs.experiments.explained_run import Explained
from libs.experiments.file_scoring import Scorer, score_files
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell
from libs.ExperimentWrapper import ExperimentWrapper
from libs.utils.errors import UserError

QUICK = {"epochs": 2, "batch_size": 64}
EXPERIMENT = Experiment(("0", "1"), ("2",), ("3",))


def _train(folder, budgets=(5, 20), **options):
    """Runs on the digits: where the experiment's folder is."""
    handler = DataHandler(datasets.load("digits"), SplitRules(test=0.3, validation=0.15), 706)
    target = Autoencoder(dims=(8, 4), **QUICK)
    methods = {
        "Autoencoder": target,
        "A3": A3(target=target, alarm_dims=(8, 4), **QUICK),
        "IsolationForest": IsolationForest(n_estimators=5),
    }
    places = {"model_path": folder / "models", "result_path": folder / "results"}
    wrapper = ExperimentWrapper(handler, "a3", "test", RunSettings(**places, **options))
    wrapper.run(Cell(EXPERIMENT, budgets, schedule=20), methods)
    assert wrapper.finish() == 0
    return wrapper.models / EXPERIMENT.name


@pytest.fixture(scope="module", autouse=True)
def _without_pictures():
    """Of results; those of explanations are looked at."""
    with pytest.MonkeyPatch.context() as patch:
        touch_roc_pictures(patch)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return _train(tmp_path_factory.mktemp("explained"))


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The same, without reference rows."""
    return _train(tmp_path_factory.mktemp("without"), keep_reference=False)


def _script(monkeypatch, name, *words):
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(name, run_name="__main__")
    return ended.value.code


@pytest.mark.slow
def test_a_picture_and_a_table_of_layers(runs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "why.png"
    assert _script(monkeypatch, "explain.py", runs / "A3", "--top", 6, "--out", out) == 0
    layers = tmp_path / "why.layers.csv"
    assert capsys.readouterr().out.split() == [str(out), str(layers)]
    picture = imread(out)[..., :3]
    assert min(picture.shape[:2]) > 300
    red, blue = picture[..., 0] - picture[..., 2], picture[..., 2] - picture[..., 0]
    assert min((red > 0.3).sum(), (blue > 0.3).sum()) > 1000
    table = pd.read_csv(layers)
    assert len(table) == 6 * 3
    sums = table.groupby("row", sort=False)["contribution"].sum()
    ends = table.groupby("row", sort=False)[["score", "base"]].first()
    np.testing.assert_allclose(sums, ends["score"] - ends["base"], atol=1e-4)
    assert (np.diff(ends["score"]) <= 1e-6).all()


@pytest.mark.slow
def test_doubtful_explanations_are_told(runs, tmp_path, monkeypatch, caplog):
    rows = Explained(runs / "A3", "test", 4)
    found = rows.detector.explain(rows.x)
    found = replace(found, missed=np.float32([0, 0, 9, 9]))
    monkeypatch.setattr(rows.detector, "explain", lambda *_: found)
    rows.write(tmp_path / "why.csv")
    assert "of 2 of 4 rows gradients missed more than 0.5" in caplog.text
    table = pd.read_csv(tmp_path / "why.csv").drop_duplicates("row")
    assert list(table["missed"]) == [0, 0, 9, 9]
    for row, word in ((0, "shared out"), (3, "do not rely")):
        alone = replace(
            found, **{k: getattr(found, k)[[row]] for k in ("scores", "base", "missed")}
        )
        assert word in _words(alone, float(alone.scores[0]))


@pytest.mark.slow
def test_a_table_of_features(runs, tmp_path):
    rows = Explained(runs / "A3" / "n5+20", "val", 4, budget=5)
    (out, _) = rows.write(tmp_path / "why.csv")
    table = pd.read_csv(out)
    assert list(table) == [
        "row",
        "class",
        "score",
        "base",
        "missed",
        "feature",
        "value",
        "contribution",
    ]
    assert len(table) == 4 * 64
    scores = rows.detector.decision_matrix(rows.x)[:, 0]
    np.testing.assert_allclose(table["score"][::64], scores, rtol=1e-4)
    for _, own in table.groupby("row"):
        assert (np.diff(own["contribution"]) <= 0).all()
        assert own["contribution"].sum() == pytest.approx(
            (own["score"] - own["base"])[:1], abs=1e-4
        )
    first = table[:64].set_index("feature")["value"]
    assert first["3-5"] == pytest.approx(rows.x[0, 3, 5, 0], rel=1e-4)
    out = Explained(runs / "Autoencoder", "test", 2).write(tmp_path / "errors.csv")
    assert len(out) == 1
    assert (pd.read_csv(out[0])["base"] == 0).all()


def test_what_cannot_be_explained_is_one_line(runs, tmp_path, monkeypatch, capsys):
    forest = runs / "IsolationForest"
    assert _script(monkeypatch, "explain.py", forest, "--out", tmp_path / "x.csv") == 2
    assert "scores of IsolationForest cannot be told apart" in capsys.readouterr().err
    assert _script(monkeypatch, "explain.py", runs / "A3", "--out", tmp_path / "x.pdf") == 2
    assert "ends in .csv or .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_reference_rows_of_runs(runs, without):
    """Kept with A3's model alone, or on demand with none; the same ones are drawn again."""
    assert [p.parent.parent.name for p in runs.glob("*/*/reference.npz")] == ["A3"]
    assert not list(without.glob("*/*/reference.npz"))
    kept, drawn = (Explained(folder / "A3", "test", 3) for folder in (runs, without))
    np.testing.assert_array_equal(drawn.detector.reference_, kept.detector.reference_)


@pytest.mark.slow
def test_runs_with_and_without_reference_rows_are_the_same_run(without, caplog):
    written = {p: p.stat().st_mtime_ns for p in without.glob("*/*/manifest.json")}
    _train(without.parents[4])
    assert not caplog.records or "reference rows" not in caplog.text
    assert {p: p.stat().st_mtime_ns for p in without.glob("*/*/manifest.json")} == written


def test_privacy_that_a_finished_run_breaks_is_said(runs, caplog):
    with caplog.at_level("WARNING", "a3"):
        _train(runs.parents[4], keep_reference=False)
    (record,) = [r for r in caplog.records if "reference rows" in r.message]
    assert "--override" in record.message


# --- score.py --explain --------------------------------------------------------------------------
@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A3 on two numbers and a text; only "amount" tells anomalies."""
    columns = (Column("amount", "number"), Column("kind", "text", categories=("a", "b", "c")))
    schema = Schema((*columns, Column("age", "number"), Column("id", "number", dropped="unique")))
    encoder = Encoder(schema, np.zeros(5, np.float32), np.float32([100, 1, 1, 1, 10]))
    x, y = toy(1, 400, 60)
    x = x[:, :5]
    x[:, 1:4] = np.eye(3)[np.arange(460) % 3]
    x[400:] = x[:60]
    x[400:, 0] += 0.6
    a3 = make("A3").fit(x, y).keep_reference(x[:400]).calibrate(x[:400], 0.05)
    folder = tmp_path_factory.mktemp("model") / "A3"
    a3.save(folder, encoder=encoder)
    return folder


@pytest.fixture
def table(tmp_path):
    """Two anomalous rows among normal ones."""
    x = toy(3, 8, 0)[0]
    frame = pd.DataFrame({"age": 10 * x[:, 4], "amount": 100 * x[:, 0], "kind": list("abcabcab")})
    frame.loc[[2, 5], "amount"] += 60
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return str(tmp_path / "rows.csv")


@pytest.mark.slow
def test_flagged_rows_have_their_strongest_columns(model, table, tmp_path):
    out = tmp_path / "scores.csv"
    score_files(Scorer(model, 0.01, explained=5), [table], str(out))
    found = pd.read_csv(out)
    names = [f"{word}_{i}" for i in (1, 2, 3) for word in ("feature", "contribution")]
    assert list(found) == ["file", "row", "line", "id", "score", "anomaly", "base", *names]
    flagged = found["anomaly"] == 1
    assert flagged[[2, 5]].all()
    assert found.loc[~flagged, names].isna().all(axis=None)
    strong = found[flagged]
    assert (strong["feature_1"] == "amount").all()
    assert (strong["contribution_1"] > strong["contribution_2"]).all()
    for _, row in strong.iterrows():
        assert sorted(row[names[::2]]) == ["age", "amount", "kind"]
    assert (strong[names[1::2]].sum(axis=1) > 0.5).all()
    parts = strong[names[1::2]].sum(axis=1)  # of all three columns
    np.testing.assert_allclose(parts, strong["score"] - strong["base"], atol=1e-3)


@pytest.mark.slow
def test_doubtful_reasons_are_left_out(model, table, tmp_path, monkeypatch):
    scorer = Scorer(model, 0.01, explained=2)
    explain = scorer.detector.explain
    monkeypatch.setattr(
        scorer.detector, "explain", lambda x: replace(explain(x), missed=np.full(len(x), 9.0))
    )
    counts = score_files(scorer, [table], str(tmp_path / "scores.csv"))
    found = pd.read_csv(tmp_path / "scores.csv")
    assert counts["doubted"] == found["anomaly"].sum() > 0
    assert found[["base", "feature_1", "contribution_1"]].isna().all(axis=None)
    assert any("without reasons" in line for line in scorer.summary(counts))


@pytest.mark.slow
def test_the_models_own_rate_flags(model):
    plain, explaining = Scorer(model), Scorer(model, explained=1)
    assert explaining.rate == 0.05
    assert Scorer(model, 0.02, explained=1).rate == 0.02
    assert plain.rate is None
    assert plain.describe() != explaining.describe()


@pytest.mark.slow
def test_parquet_parts_without_a_flagged_row_fit_the_others(model, table, tmp_path):
    calm = pd.read_csv(table).drop([2, 5])
    calm.to_csv(tmp_path / "calm.csv", index=False)
    out = tmp_path / "scores.parquet"
    scorer = Scorer(model, 0.01, explained=2)
    score_files(scorer, [str(tmp_path / "calm.csv"), table], str(out))
    found = pl.read_parquet(out)
    assert found.schema["feature_2"] == pl.String
    assert found.schema["contribution_2"] == pl.Float32
    assert len(found) == 14


@pytest.mark.slow
def test_a_row_beyond_all_arithmetic_is_flagged_without_reasons(model, tmp_path):
    path = tmp_path / "far.csv"
    path.write_text("amount,kind,age\n1e38,a,1\n-1e38,b,1e38\n")
    score_files(Scorer(model, 0.01, explained=2), [str(path)], str(tmp_path / "scores.csv"))
    found = pd.read_csv(tmp_path / "scores.csv")
    assert np.isfinite(found["contribution_1"].dropna()).all()


def test_a_model_without_reference_rows_says_so_before_it_scores(model, table, tmp_path):
    detector = Scorer(model).detector
    del detector.reference_
    detector.save(tmp_path / "model", encoder=Encoder.load(model))
    with pytest.raises(UserError, match="no reference rows"):
        Scorer(tmp_path / "model", explained=5)
