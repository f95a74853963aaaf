"""ADBench's tables: the loader, the budgets of a table, and natural pollution."""

import numpy as np
import pytest
from processes import run

from libs.DataHandler import DataHandler, SplitRules
from libs.datasets import adbench
from libs.datasets.registry import load
from libs.datasets.splits.experiment import NATURAL, Experiment
from libs.reporting.collection import collect
from libs.utils.errors import UserError

EXPERIMENT = Experiment(("normal",), ("anomaly",))


@pytest.fixture
def folder(tmp_path):
    """Two tables; the second has too few anomalies for any label budget."""
    (tmp_path / "adbench").mkdir()
    rng = np.random.default_rng(0)
    for name, anomalies in (("2_annthyroid", 60), ("43_WDBC", 8)):
        x = rng.normal(size=(300 + anomalies, 4))
        x[300:] += 3
        np.savez(tmp_path / f"adbench/{name}.npz", X=x, y=np.repeat([0, 1], [300, anomalies]))
    return tmp_path


def test_tables_are_those_that_lie_in_the_folder(folder, tmp_path_factory):
    assert adbench.tables(folder) == ["annthyroid", "WDBC"]
    with pytest.raises(UserError, match="no table of ADBench"):
        adbench.tables(tmp_path_factory.mktemp("empty"))
    assert adbench.tables(folder, ["WDBC"]) == ["WDBC"]
    with pytest.raises(UserError, match=r"no table wdbc .* which holds annthyroid, WDBC"):
        adbench.tables(folder, ["WDBC", "wdbc"])
    (folder / "adbench/2_annthyroid.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="expected arrays X and y"):
        load("adbench-annthyroid", folder)


def test_test_rows_are_stratified_and_the_same_for_every_seed(folder):
    data = load("adbench-annthyroid", folder)
    assert (len(data.x), len(data.x_test)) == (252, 108)
    assert (data.classes_test == "anomaly").sum() == 18
    first, second = (
        DataHandler(data, SplitRules(validation=0.1), seed).split(EXPERIMENT, 5, 20)
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(first.classes_test, second.classes_test)
    assert not np.array_equal(first.classes_val, second.classes_val) or len(first.x_val) == 25


@pytest.mark.parametrize("schedule", [5, 20])
def test_natural_pollution_is_all_that_is_not_labelled(folder, schedule):
    """The scaling does not depend on how many are labelled."""
    data = load("adbench-annthyroid", folder)
    handler = DataHandler(data, SplitRules(validation=0.1, scale_on="normal"), 1)
    splits = handler.split(EXPERIMENT, 5, schedule, NATURAL)
    rows = handler.n_train
    assert len(splits.x_train) == rows
    assert splits.y_train.sum() == schedule
    anomalous = (data.classes[handler._train] == "anomaly").sum()
    clean = handler.split(EXPERIMENT, 5, schedule)
    assert (splits.y_train == 0).sum() == (clean.y_train == 0).sum() + anomalous - schedule
    np.testing.assert_array_equal(splits.low, handler.scaling(EXPERIMENT, NATURAL)[0])


@pytest.mark.slow
def test_do_adbench(folder, tmp_path, monkeypatch):
    """Every table; methods that need labels are left out where a table has too few anomalies."""
    monkeypatch.chdir(tmp_path)
    words = [1, "test", "--methods", "KNN", "HistGradientBoosting", "--data_path", folder]
    read, load = [], adbench.load
    monkeypatch.setattr(adbench, "load", lambda *args: read.append(args[1]) or load(*args))
    assert run("do_adbench.py", *words) == 0
    assert read == ["annthyroid", "WDBC"]  # once each
    found = sorted(p.parent.name for p in tmp_path.glob("models/*/best/1/*/*/*/manifest.json"))
    assert found == ["n5", "run", "run"]
    assert run("do_adbench.py", *words, "--p_contamination", "natural") == 0
    assert list(tmp_path.glob("results/adbench-annthyroid/best/1/*-p1/test/known.metric.csv"))
    about = set(collect(tmp_path / "results", "test", [1])["about"])
    assert "normal against anomaly (known), natural pollution" in about
