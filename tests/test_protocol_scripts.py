"""R2-AD2's and ARGUE's scripts: every cell is split as the papers say, and every script runs."""

import importlib
import json
from types import SimpleNamespace

import layouts
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import run
from sklearn.ensemble import ExtraTreesClassifier
from test_datahandler import data_set, identified

from baselines import ExtraTrees
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.detectors.detector import Detector
from libs.experiments.protocols import argue, r2ad2
from libs.experiments.settings import Selection
from libs.experiments.study import select_cells

pytestmark = pytest.mark.usefixtures("without_roc_pictures")

SCRIPTS = {
    "r2ad2": "covtype creditcard darknet doh fmnist ids mammography mnist nslkdd url",
    "argue": "census covtype darknet doh emnist fmnist ids mnist nslkdd url",
    "best": "census covtype creditcard darknet doh emnist fmnist ids mammography nslkdd url",
}
"""R2-AD2, section 2 of its specification, and ARGUE's; our own settings."""
RUNS = [(name, protocol) for protocol, names in SCRIPTS.items() for name in names.split()]
OPTIONS = SimpleNamespace(
    use_vae=False, keep_class_feature=False, increase_normal=False, data_path=None
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Every raw file, tiny."""
    return layouts.write_all(tmp_path_factory.mktemp("raw"), images=60)


@pytest.mark.parametrize(("name", "protocol"), RUNS)
@pytest.mark.slow
def test_every_cell_can_be_split(raw, monkeypatch, name, protocol):
    """Each cell has its known anomalies and pollution exactly, and all normal classes to train."""
    monkeypatch.setenv("A3_DATA", str(raw))
    study = importlib.import_module(f"do_{name}").PROTOCOLS[protocol](OPTIONS)
    data = datasets.load(study.data_set, raw, study.normal_by)
    handler = DataHandler(data, study.rules, 110)
    assert handler.rules.test_seed == 42
    for cell in select_cells(study.cells, Selection()):
        splits = handler.split(cell.experiment, cell.largest, cell.schedule, cell.p_contamination)
        assert splits.y_train.sum() == cell.largest
        true = np.isin(data.classes[handler._train], cell.experiment.normal).sum()
        share = cell.p_contamination / (1 - cell.p_contamination)
        assert (splits.y_train == 0).sum() == true + round(true * share)
        assert set(splits.classes_train[splits.y_train == 0]) == set(cell.experiment.normal)
        assert set(splits.classes_train[splits.y_train == 1]) <= set(cell.experiment.known)
        anomalies = {*cell.experiment.known, *cell.experiment.unknown}
        assert set(splits.classes_test) == {*cell.experiment.normal, *anomalies}
    methods = study.methods(handler)
    assert all(isinstance(method, Detector) for method in methods.values())
    assert {"Autoencoder", "A3", "DevNet"} <= set(methods)


@pytest.mark.parametrize(
    ("name", "protocol"),
    [pytest.param(*run, marks=[] if run[0] == "covtype" else pytest.mark.slow) for run in RUNS],
)
def test_every_script_runs(raw, tmp_path, monkeypatch, name, protocol):
    """With a method that every protocol has; test_printed_commands trains networks."""
    monkeypatch.setenv("A3_DATA", str(raw))
    words = ["--protocol", protocol, "--data_path", raw, "--n_epochs", 1]
    words += ["--methods", "KNN", "--n_train_anomalies", 5, "--p_contamination", 0.02]
    places = ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    assert run(f"do_{name}.py", 110, "val", *words, *places) == 0
    study = importlib.import_module(f"do_{name}").PROTOCOLS[protocol](OPTIONS)
    paths = sorted((tmp_path / "results").glob(f"*/{protocol}-e1/110/*-p0.02/val/known.metric.csv"))
    assert len(paths) == len({cell.experiment for cell in study.cells})
    for path in paths:
        assert pd.read_csv(path, index_col=0).loc["KNN", "status"] == "ok"


def test_first_protocol_is_the_default(raw, tmp_path):
    """A3's where the script has it, for these lines are printed in the READMEs without protocol."""
    for name in {name for name, _ in RUNS}:
        protocols = list(importlib.import_module(f"do_{name}").PROTOCOLS)
        assert protocols == [p for p in ("a3", "r2ad2", "argue", "best") if p in protocols]


@pytest.mark.slow
def test_a_whole_study_keeps_budgets_and_pollution_apart(raw, tmp_path, monkeypatch):
    """R2-AD2's cells of CovType, then ARGUE's: each pollution in a folder, each budget in a row."""
    monkeypatch.setattr(ExtraTrees, "_classifier", lambda _: ExtraTreesClassifier(5))
    words = ["--data_path", raw, "--n_epochs", 1, "--methods", "ExtraTrees"]
    places = ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    assert run("do_covtype.py", 110, "test", *words, *places) == 0
    folder = tmp_path / "results/covtype-sample/r2ad2-e1/110"
    main, transfer = "1+2+3_known_4+5+6+7", "1+2+3_known_4+5_unknown_6+7"
    polluted = [f"{main}-p{p}" for p in ("0.025", "0.05", "0.075", "0.1")]
    assert sorted(p.name for p in folder.iterdir()) == sorted([main, *polluted, transfer])
    expected = {main: (5, 10, 25, 50, 100)} | dict.fromkeys([transfer, *polluted], (100,))
    for name, budgets in expected.items():
        table = pd.read_csv(folder / name / "test/known.metric.csv", index_col=0)
        assert list(table.index) == [f"ExtraTrees-n{budget}" for budget in budgets]
    words[-1] = "IsolationForest"
    assert run("do_covtype.py", 110, "test", "--protocol", "argue", *words, *places) == 0
    folder = tmp_path / "results/covtype-sample/argue-e1/110"
    main = "1+2+3+4_known_5+6+7"
    assert sorted(p.name for p in folder.iterdir()) == [main, f"{main}-p0.01"]


@pytest.mark.slow
def test_kept_class_features_are_another_data_set(raw, tmp_path):
    words = ["--protocol", "argue", "--data_path", raw, "--methods", "IsolationForest"]
    words += ["--model_path", tmp_path / "models", "--result_path", tmp_path / "results"]
    for option in ([], ["--keep_class_feature", 1]):
        assert run("do_doh.py", 110, "val", *words, *option) == 0
    found = sorted(p.name for p in (tmp_path / "results").iterdir())
    assert found == ["doh+week-sample", "doh-sample"]
    code = run(
        "evaluate_models.py",
        *(110, "val", "--in_path", tmp_path / "models", "--out_path", tmp_path / "again"),
        *("--data_path", raw),
    )
    assert code == 0
    table = pd.read_csv(tmp_path / "again/all_results/all_results_110.csv")
    assert set(table["data_set"]) == set(found)
    assert (table["largest_difference"] == 0).all()


@pytest.mark.slow
def test_emnist_with_more_and_more_letters(raw, tmp_path, monkeypatch):
    """A, A-B, ... A-H, as ARGUE's README prints it; the letters in between are in no part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A3_DATA", str(raw))
    words = "110 val --increase_normal True --methods KNN"
    assert run("do_emnist.py", *words.split()) == 0
    found = (tmp_path / "results/emnist-sample/argue/110").glob("*/val/scores.npz")
    about = {path: json.loads((path.parent / "experiment.json").read_text()) for path in found}
    paths = sorted(about, key=lambda path: len(about[path]["experiment"]["normal"]))
    letters = "ABCDEFGH"
    for n, path in enumerate(paths, start=1):
        with np.load(path) as arrays:
            assert set(arrays["classes"]) == {*letters[:n], *"NOPQRSTUVWXYZ"}
    assert len(paths) == 8


PRINTED = """
do_mnist.py 110 test --p_contamination .01 --n_train_anomalies 100 --model_path m --result_path r \
--n_epochs 1 --methods DevNet IsolationForest
do_covtype.py 110 test --n_train_anomalies 100 --n_epochs 1 --p_pollution 0.0 --eval_n_anomalies \
True --eval_p_pollution True --is_override False --learning_rate .001 --model_path ./models \
--methods R2AD2-sketch --normal 1 2 3 --known 4 5 --unknown 6 7
do_url.py 210 val --n_train_anomalies 5 --n_epochs 1 --p_contamination 0.0 --methods DeepSVDD DevNet
do_census.py 110 test --p_contamination 0.01 --n_train_anomalies 0 --n_epochs 1 --learning_rate \
1e-4 --model_path ./models --is_override False --methods DeepSVDD
"""
"""Lines with the options that the two READMEs name; epochs, methods and classes are ours.
ARGUE trains by script in test_do_csv."""


@pytest.mark.parametrize("line", PRINTED.strip().splitlines())
@pytest.mark.slow
def test_printed_commands(raw, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A3_DATA", str(raw))
    script, *words = line.split()
    assert run(script, *words) == 0
    assert list(tmp_path.glob("r*/*/*/*/*/*/known.metric.csv"))


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(500, 900),
    seed=st.integers(0, 2**31 - 1),
    known=st.integers(0, 9),
    p=st.sampled_from([0.0, 0.01, 0.025, 0.1]),
    rules=st.sampled_from([SplitRules(**r2ad2.RULES), SplitRules(**argue.RULES)]),
)
@pytest.mark.slow
def test_split_rules(n, seed, known, p, rules):
    """Sizes, the same test rows for every seed, exact counts, a scaling of normal rows alone."""
    experiment = Experiment(("a", "b"), ("c",), ("d", "e"))
    raw = data_set(n, maximum=1.0)  # unscaled: rows can be told by their numbers
    handler = DataHandler(raw, rules, seed)
    splits = handler.split(experiment, known, p_contamination=p)
    train, val, test = map(identified, (splits.x_train, splits.x_val, splits.x_test))
    assert len(test) == round(rules.test * n)
    assert len(val) == round(rules.validation * (n - len(test)))
    assert len({*train, *val, *test}) == len(train) + len(val) + len(test)
    other = DataHandler(raw, rules, seed + 1).split(experiment, known)
    assert identified(other.x_test) == test
    assert identified(other.x_val) != val

    normal = splits.y_train == 0
    clean = np.isin(raw.classes[train], experiment.normal)
    assert (~normal).sum() == known
    assert (normal & ~clean).sum() == round(clean.sum() * p / (1 - p))
    assert set(raw.classes[train][~normal]) <= {"c"}

    scaled = DataHandler(data_set(n), rules, seed).split(experiment, known, p_contamination=p)
    low, high = (scaled.x_train[normal].min(axis=0), scaled.x_train[normal].max(axis=0))
    np.testing.assert_allclose(low, 0, atol=1e-6)
    np.testing.assert_allclose(high, 1, atol=1e-6)
    without = DataHandler(data_set(n), rules, seed).split(experiment, 0, p_contamination=p)
    np.testing.assert_array_equal(without.x_train, scaled.x_train[normal])
    np.testing.assert_array_equal(without.x_test, scaled.x_test)
