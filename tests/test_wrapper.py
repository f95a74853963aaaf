"""The wrapper reuses what is there, refuses what differs, and goes on after what fails."""

import json
import math
import shutil
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import make, touch_roc_pictures
from sklearn.metrics import f1_score, precision_score, recall_score

from baselines import Autoencoder, DevNet, ExtraTrees, IsolationForest
from libs.A3 import A3
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.detectors.detector import Detector
from libs.experiments.rescoring import Rescorer
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell
from libs.ExperimentWrapper import ExperimentWrapper
from libs.targets.multi_head_autoencoder import MultiHeadAutoencoder
from libs.utils import storage
from libs.utils.errors import UserError

EXPERIMENT = Experiment(("0", "1"), ("2",), ("3",))
QUICK = {"epochs": 2, "batch_size": 64}


class Failing(IsolationForest):
    """A method that always fails."""

    def _fit(self, x, y):
        raise ZeroDivisionError("by design")


@pytest.fixture(scope="module")
def handler():
    return DataHandler(datasets.load("digits"), SplitRules(test=0.3, validation=0.15), 706)


def _methods():
    target = Autoencoder(dims=(8, 4), **QUICK)
    return {
        "Autoencoder": target,
        "IsolationForest": IsolationForest(n_estimators=5),
        "A3": A3(target=target, alarm_dims=(8, 4), **QUICK),
    }


@pytest.fixture
def methods():
    return _methods()


@pytest.fixture
def quick():
    """Where no method needs to build on another one."""
    trees = ExtraTrees(n_estimators=5)
    return {"ExtraTrees": trees, "IsolationForest": IsolationForest(n_estimators=5)}


@pytest.fixture
def network(quick):
    """Where one is a network, with epochs and files of Keras."""
    devnet = DevNet(epochs=2, batches=2, batch_size=8)
    return {"DevNet": devnet, "IsolationForest": quick["IsolationForest"]}


@pytest.fixture(autouse=True)
def _without_pictures(request, monkeypatch):
    """One test looks at them."""
    if request.function is not test_files_and_columns:
        touch_roc_pictures(monkeypatch)


@pytest.fixture(scope="module")
def trained_once(handler, tmp_path_factory):
    """A folder in which all methods were trained, with both budgets."""
    folder = tmp_path_factory.mktemp("trained")
    settings = RunSettings(folder / "models", folder / "results")
    wrapper = ExperimentWrapper(handler, "a3", "test", settings)
    wrapper.run(Cell(EXPERIMENT, (5, 20), schedule=20), _methods())
    assert wrapper.finish() == 0
    return folder


@pytest.fixture
def before(run, trained_once, tmp_path):
    """The metric table of a run that the folder of the test already holds."""
    shutil.copytree(trained_once, tmp_path, dirs_exist_ok=True)
    return pd.read_csv(run.results / "test/known.metric.csv", index_col=0)


@pytest.fixture
def run(handler, methods, tmp_path):
    """Run a fresh wrapper on the folder of the test; give it back with its metric table."""

    def run(
        chosen=None,
        budgets=(5, 20),
        part="test",
        override=False,
        experiment=EXPERIMENT,
        p=0.0,
        since=math.inf,
        settings=None,
        **kw,
    ):
        wrapper = ExperimentWrapper(
            handler,
            "a3",
            part,
            settings
            or RunSettings(
                tmp_path / "models", tmp_path / "results", override=override, override_since=since
            ),
        )
        wrapper.run(Cell(experiment, budgets, p, schedule=20), chosen or methods, **kw)
        folder = next((tmp_path / "results").glob(f"digits/a3/706/*/{part}"))
        return wrapper, pd.read_csv(folder / "known.metric.csv", index_col=0)

    run.models = tmp_path / "models/digits/a3/706" / EXPERIMENT.name
    run.results = tmp_path / "results/digits/a3/706" / EXPERIMENT.name
    return run


def _trained(run) -> dict[str, int]:
    """When each finished training was written."""
    return {
        str(p.parent.relative_to(run.models)): p.stat().st_mtime_ns
        for p in run.models.glob("*/*/manifest.json")
    }


@pytest.mark.slow
@pytest.mark.usefixtures("before")
def test_files_and_columns(run):
    shutil.rmtree(run.results)
    _, table = run()
    assert list(table.index) == ["A3-n5", "A3-n20", "Autoencoder", "IsolationForest"]
    expected = "AUC AP prevalence rows epochs updates seconds jointly precision status error"
    assert list(table.columns) == expected.split()
    assert (table["status"] == "ok").all()
    assert table.loc["A3-n5", "jointly"] == 2
    assert table.loc["A3-n5", "rows"] == table.loc["Autoencoder", "rows"] + 20
    for view in ("known", "transfer", "unknown"):
        roc = pd.read_csv(run.results / f"test/{view}.roc.csv")
        assert list(roc.columns[:2]) == ["fpr_A3-n5", "tpr_A3-n5"]
        assert (run.results / f"test/{view}.roc.png").read_bytes().startswith(b"\x89PNG")
    with np.load(run.results / "test/scores.npz") as scores:
        assert scores["A3-n20"].dtype == np.float32
        assert len(scores["classes"]) == len(scores["A3-n20"])
    about = json.loads((run.results / "test/experiment.json").read_text())
    assert about["experiment"]["known"] == ["2"]
    assert set(about["made_with"]) == {"commit", "versions"}
    assert about["made_with"]["versions"]["numpy"] == np.__version__
    assert (table["precision"] == "float32").all()


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(run, before):
    trained = _trained(run)
    _, again = run()
    _, val = run(part="val")
    assert _trained(run) == trained
    pd.testing.assert_frame_equal(before, again)
    assert list(val.index) == list(before.index)


@pytest.mark.slow
def test_scores_do_not_depend_on_other_methods(run, trained_once):
    _, alone = run(only=["A3"])
    assert list(alone.index) == ["A3-n5", "A3-n20", "Autoencoder"]
    path = next(trained_once.glob("results/*/*/*/*/test/known.metric.csv"))
    together = pd.read_csv(path, index_col=0)
    np.testing.assert_array_equal(alone["AUC"], together.loc[alone.index, "AUC"])


@pytest.mark.slow
def test_only_missing_budgets_are_trained_and_override_loses_none(run, quick):
    run(quick, budgets=(20,))
    before = _trained(run)
    _, table = run(quick, budgets=(5, 20))
    assert list(table.index[:2]) == ["ExtraTrees-n5", "ExtraTrees-n20"]
    after = _trained(run)
    assert {k: after[k] for k in before} == before
    assert set(after) - set(before) == {"ExtraTrees/n5"}

    shutil.rmtree(run.models / "ExtraTrees/n5")
    _, table = run(quick, budgets=(5,), override=True)
    assert list(table.index[:2]) == ["ExtraTrees-n5", "ExtraTrees-n20"]
    after = _trained(run)
    assert set(after) == {"ExtraTrees/n5+20", "IsolationForest/run"}
    assert after["IsolationForest/run"] > before["IsolationForest/run"]


def test_models_of_earlier_versions_are_taken(run, before):
    """A setting that came later had its default then."""
    folder = run.models / "A3/n5+20"
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["detector"]["settings"]["target_dropout"], manifest["checksum"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    trained = _trained(run)
    _, after = run()
    pd.testing.assert_frame_equal(before, after)
    assert _trained(run) == trained


def test_runs_of_another_precision_count_where_the_hardware_chose_it(run, before, tmp_path):
    """They are neither trained again nor left out; where a precision was asked for, they differ."""
    trained, chosen = _trained(run), RunSettings(tmp_path / "models", tmp_path / "results")
    _, after = run(settings=replace(chosen, precision="bfloat16", any_precision=True))
    pd.testing.assert_frame_equal(before, after)
    assert _trained(run) == trained
    with pytest.raises(UserError, match="precision: found float32, wanted bfloat16"):
        run(settings=replace(chosen, precision="bfloat16"))


def test_an_interrupted_override_goes_on(run, before, methods):
    """What was trained since it began stays; what is older, or differs, is trained again."""

    def trained(chosen=methods, **settings) -> int:
        run(chosen, only=["IsolationForest"], override=True, **settings)
        return _trained(run)["IsolationForest/run"]

    first, since = _trained(run), time.time_ns()
    anew = trained(since=since)
    assert anew > first["IsolationForest/run"]
    assert trained(since=since) == anew
    other = methods | {"IsolationForest": IsolationForest(n_estimators=6)}
    assert trained(other, since=since) > anew
    assert trained() > anew
    assert _trained(run)["A3/n5+20"] == first["A3/n5+20"]


def test_override_leaves_what_is_no_model(run):
    """Folders beside a run, and their like within other methods, belong to somebody else."""
    only = {"only": ["IsolationForest"]}
    run(**only)
    method = run.models / "IsolationForest"
    for name, file in (("notes", "thesis.txt"), ("extension", "manifest.json")):
        (method / name).mkdir()
        (method / name / file).write_text('{"name": "not of this project"}')
    wrapper, table = run(override=True, **only)
    assert wrapper.finish() == 0
    assert (method / "notes/thesis.txt").is_file()
    assert (method / "extension/manifest.json").is_file()
    wrapper, again = run(**only)
    assert wrapper.finish() == 0
    pd.testing.assert_frame_equal(table, again)


def test_what_lies_at_a_runs_place_is_not_replaced(run):
    place = run.models / "IsolationForest/run"
    place.mkdir(parents=True)
    (place / "thesis.txt").write_text("years of work")
    wrapper, _ = run(only=["IsolationForest"], override=True)
    assert "holds something else than a model" in wrapper.failures[0]
    assert (place / "thesis.txt").is_file()


def test_other_settings_are_refused_with_their_names(run, methods, before):
    with pytest.raises(UserError, match=r"dims: found \[8, 4\], wanted \[9, 4\]\. .*--override"):
        run(methods | {"Autoencoder": Autoencoder(dims=(9, 4), **QUICK)})
    with pytest.raises(UserError, match="scheduled: found 20, wanted 30"):
        run(budgets=(20, 30))
    _, after = run()
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.slow
def test_two_parts_of_one_name_are_refused(run, methods):
    other = Autoencoder(dims=(32, 16), **QUICK)
    wrapper, table = run(methods | {"A3": A3(target=other, alarm_dims=(8, 4), **QUICK)})
    assert "two Autoencoders: give the one that" in wrapper.failures[0]
    assert table.loc["A3-n5", "status"] == "error"


@pytest.mark.slow
def test_budgets_below_a_methods_least_are_left_out(run, quick):
    wrapper, table = run({**quick, "Ensemble": make("Ensemble")}, budgets=(0, 5))
    assert wrapper.finish() == 0
    assert set(table.index) == {"Ensemble-n0", "Ensemble-n5", "ExtraTrees-n5", "IsolationForest"}


def test_damaged_scores_are_made_again(run, before):
    (run.models / "A3/n5+20/scores-test.npz").write_bytes(b"PK damaged")
    wrapper, after = run()
    assert wrapper.finish() == 0
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.slow
def test_thresholds_of_saved_models(handler, network, tmp_path):
    """F1, precision and recall equal those of predict() at the same rate; too small rates: none."""
    rules = SplitRules(test=0.3, validation=0.3)
    wide = DataHandler(handler.data, rules, 706)
    experiment = Experiment(tuple("0123"), tuple("45"), ("6",))
    places = {"model_path": tmp_path / "m", "result_path": tmp_path / "r"}
    ExperimentWrapper(wide, "a3", "test", RunSettings(**places)).run(
        Cell(experiment, (5, 20)), network
    )
    folder = tmp_path / "m/digits/a3/706" / experiment.name
    table = Rescorer(None, "test", tmp_path / "again").rescore(folder)
    assert (table["largest_difference"] == 0).all()
    row = table.set_index(["view", "run"]).loc[("transfer", "DevNet-n20")]
    detector = Detector.load(folder / "DevNet/n5+20")
    assert len(detector.calibration_scores_) >= 100
    splits = wide.split(experiment)
    y = np.isin(splits.classes_test, ("4", "5", "6")).astype(int)
    flagged = detector.predict(splits.x_test)
    assert 0 < flagged.sum() < len(flagged)
    assert row["precision@0.01"] == pytest.approx(precision_score(y, flagged))
    assert row["recall@0.01"] == pytest.approx(recall_score(y, flagged))
    assert row["F1@0.01"] == pytest.approx(f1_score(y, flagged))
    assert table["F1@0.001"].isna().all()
    assert row["note"].endswith("too few for 0.001, 0.0001, 1e-05, 1e-06")


@pytest.mark.slow
def test_a_failing_method_leaves_a_row_and_the_rest_runs(run, quick):
    wrapper, table = run({"Failing": Failing(), **quick})
    assert wrapper.finish() == 1
    assert table.loc["Failing", "status"] == "error"
    assert "ZeroDivisionError: by design" in table.loc["Failing", "error"]
    assert table["AUC"].notna().sum() == 3
    assert "by design" in (run.models / "Failing/traceback.txt").read_text()


def test_what_builds_on_a_failed_method_fails_with_its_reason(run, methods):
    target = Autoencoder(network="conv", **QUICK)
    wrapper, table = run(methods | {"Autoencoder": target, "A3": A3(target=target, **QUICK)})
    assert len(wrapper.failures) == 2
    assert "A3: builds on Autoencoder, which failed: convolutional" in wrapper.failures[1]
    assert list(table["status"]) == ["error", "error", "error", "ok"]


@pytest.mark.slow
def test_a_damaged_model_is_a_clear_error(run, network):
    run(network)
    (path,) = run.models.glob("DevNet/n5+20/*.keras")
    path.write_bytes(path.read_bytes()[:-100])
    wrapper, table = run(network)
    assert wrapper.finish() == 1
    assert f"{path.name} is damaged" in wrapper.failures[0]
    assert table.loc["DevNet-n5", "status"] == "error"
    assert table.loc["IsolationForest", "status"] == "ok"
    (run.models / "DevNet/error.json").unlink()
    _, table = run(network, only=["IsolationForest"])
    assert f"{path.name} is damaged" in table.loc["DevNet", "error"]
    _, table = run(network, override=True)
    assert (table["status"] == "ok").all()


@pytest.mark.usefixtures("before")
def test_pollution_has_folders_of_its_own(run, tmp_path):
    run(p=0.1, only=["IsolationForest"])
    names = {p.name for p in (tmp_path / "models/digits/a3/706").iterdir()}
    assert names == {EXPERIMENT.name, f"{EXPERIMENT.name}-p0.1"}


@pytest.mark.slow
def test_fewer_epochs_have_a_protocol_of_their_own(handler, network, tmp_path):
    wrapper = ExperimentWrapper(
        handler, "a3", "test", RunSettings(tmp_path, tmp_path / "r", n_epochs=1)
    )
    wrapper.run(Cell(EXPERIMENT, (5,)), network)
    found = list((tmp_path / "r").glob("digits/a3-e1/706/*/test/known.metric.csv"))
    assert pd.read_csv(found[0], index_col=0).loc["DevNet-n5", "epochs"] == 1


@pytest.mark.slow
def test_patience_has_a_protocol_of_its_own(handler, methods, tmp_path):
    place = {"model_path": tmp_path, "result_path": tmp_path / "r"}
    wrapper = ExperimentWrapper(handler, "argue", "test", RunSettings(patience=1, **place))
    experts = MultiHeadAutoencoder(dims=(8, 4), epochs=40, batch_size=64, learning_rate=0.1)
    wrapper.run(Cell(EXPERIMENT), methods | {"MAE": experts}, only=["MAE"])
    found = list((tmp_path / "r").glob("digits/argue-patience1/706/*/test/known.metric.csv"))
    assert pd.read_csv(found[0], index_col=0).loc["MAE", "epochs"] < 40
    with pytest.raises(UserError, match="none of the methods has early stopping"):
        wrapper.run(Cell(EXPERIMENT), methods, only=["IsolationForest"])


@pytest.mark.usefixtures("before")
def test_validation_rows_decide_thresholds(run, handler):
    detector = Detector.load(run.models / "A3/n5+20")
    normal = handler.split(EXPERIMENT, 20).x_val_normal
    expected = np.sort(detector.decision_matrix(normal), axis=0)
    np.testing.assert_array_equal(detector.calibration_scores_, expected)


def test_unwritable_folders_end_at_once(handler, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        ExperimentWrapper(handler, "a3", "test", RunSettings(tmp_path / "file"))


@pytest.mark.slow
def test_a_full_disk_is_a_clear_error(tmp_path, train_rows, monkeypatch):
    detector = make("IsolationForest").fit(*train_rows)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "rename", full)
    with pytest.raises(storage.WriteError, match=r"No space left on device.*start again"):
        detector.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_gates_answers_are_results(run):
    """A table and a picture for every label budget: weights of the experts, by class."""
    argue = make("ARGUE", epochs=2).set_params(target__clustering=None)
    run({"MAE": argue.target, "ARGUE": argue})
    folder = run.results / "test"
    for name in ("ARGUE-n5", "ARGUE-n20"):
        table = pd.read_csv(folder / f"{name}.gate.csv", index_col="class", dtype={"class": str})
        assert list(table.index) == ["0", "1", "2", "3"]
        assert list(table.columns) == ["0", "1", "anomaly"]
        np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-3)
        assert (folder / f"{name}.gate.png").read_bytes().startswith(b"\x89PNG")
    first, second = (pd.read_csv(folder / f"ARGUE-n{n}.gate.csv") for n in (5, 20))
    assert not first.equals(second)


def test_unknown_method(run):
    with pytest.raises(UserError, match="unknown method A4; expected some of Autoencoder"):
        run(only=["A4"])
