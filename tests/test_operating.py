"""Operating points: thresholds come from validation rows alone, and pictures are there."""

import json

import numpy as np
import pandas as pd
import pytest
from processes import run
from test_kdd99 import write_kdd99

from libs import Metrics
from libs.DataHandler import Experiment, Splits
from libs.experiments import thresholds as operating
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import Row
from libs.experiments.thresholds import ThresholdRule


def _split(n: int) -> Splits:
    classes = np.repeat(["a", "b"], n)
    x = np.zeros((2 * n, 2), np.float32)
    y = np.zeros(2 * n, np.int32)
    experiment = Experiment(("a",), (), ("b",))
    return Splits(experiment, x, y, classes, x, classes, x, classes, np.float32(0), np.float32(1))


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    val = np.concatenate([rng.normal(0, 1, 300), rng.normal(2, 1, 300)])
    return val, val + rng.normal(0, 0.5, 600)


def write(folder, scores, rule="FPR"):
    val, test = scores
    rows = [Row("One-n5", test), Row("Two", -test), Row("Three", error="failed")]
    conditions = Conditions({"data_set": "toy", "seed": 1}, "a3", _split(2).experiment)
    validation = {"One-n5": val, "Two": -val}
    place = (folder, _split(300), "test", rows, validation, conditions)
    return operating.write_operating_points(*place, ThresholdRule(rule))["unknown"]


@pytest.fixture
def without_pictures(monkeypatch):
    """test_files looks at them."""
    for name in ("roc_picture", "bars_picture", "histogram_picture", "overview_picture"):
        monkeypatch.setattr(operating, name, lambda *_: None)


@pytest.mark.usefixtures("without_pictures")
def test_thresholds_by_hand(scores, tmp_path):
    val, test = scores
    table = write(tmp_path, scores)
    y = np.repeat([0, 1], 300)
    expected = {
        "FPR": Metrics.threshold_at(val[:300], 0.01),
        "F1": Metrics.best_threshold(y, val, "F1"),
        "accuracy": Metrics.best_threshold(y, val, "accuracy"),
    }
    for rule, threshold in expected.items():
        found = table.loc[("One-n5", rule)]
        assert found["threshold"] == threshold
        assert found["accuracy"] == np.mean((test > threshold) == y)
        assert found["FPR"] == np.mean(test[:300] > threshold)
    assert list(table.index.get_level_values("run").unique()) == ["One-n5", "Two"]


@pytest.mark.usefixtures("without_pictures")
def test_thresholds_never_look_at_test_labels(scores, tmp_path):
    """With other test scores the thresholds are the same."""
    before = write(tmp_path, scores)["threshold"]
    after = write(tmp_path, (scores[0], scores[1][::-1].copy()))["threshold"]
    pd.testing.assert_series_equal(before, after)


@pytest.mark.slow
def test_files(scores, tmp_path):
    write(tmp_path, scores, rule="accuracy")
    for method in ("One-n5", "Two"):
        folder = tmp_path / "unknown" / method
        for name in ("histogram.png", "roc.png", "metrics.png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")
        report = json.loads((folder / "metrics.json").read_text())
        assert report["rules"].keys() == {"FPR", "F1", "accuracy"}
        assert {"AUC", "AP", "prevalence", "rate"} < report.keys()
    assert (tmp_path / "unknown.overview.png").stat().st_size > 10_000
    table = pd.read_csv(tmp_path / "unknown.thresholds.csv")
    assert len(table) == 6


@pytest.mark.slow
def test_too_few_rows_are_an_empty_cell(tmp_path):
    """A rate of 1 % of ten rows says nothing: null in the file, no line in the picture."""
    rng = np.random.default_rng(0)
    rows, val = [Row("One", rng.random(20))], {"One": rng.random(20)}
    conditions = Conditions({"data_set": "toy", "seed": 1}, "a3", _split(2).experiment)
    place = (tmp_path, _split(10), "test", rows, val, conditions)
    operating.write_operating_points(*place, ThresholdRule())
    report = json.loads((tmp_path / "unknown/One/metrics.json").read_text())
    assert report["rules"]["FPR"] == dict.fromkeys([*Metrics.THRESHOLDED, "FPR", "threshold"])
    assert report["rules"]["F1"]["threshold"] is not None


@pytest.mark.slow
def test_do_kdd99(tmp_path, capsys):
    """The script on small files: partitions keep apart, thresholds and pictures are there."""
    data = write_kdd99(tmp_path)
    words = [2018, "test", "--n_epochs", 1, "--data_path", data, "--rate", 0.5]
    quick = ["--methods", "MeanDistance", "Autoencoder"]
    assert run("do_kdd99.py", *words, "--partition", "all", *quick, folder=tmp_path) == 0
    assert "MeanDistance" in capsys.readouterr().out
    (place,) = tmp_path.glob("results/kdd99-sample/deepad-all-e1/2018/*/test")
    assert place.parent.name.startswith("normal_unknown_DoS")
    assert (place / "unknown/Autoencoder/metrics.json").is_file()

    def refused(*words) -> str:
        assert run("do_kdd99.py", *words, folder=tmp_path) == 2
        return capsys.readouterr().err

    assert "8000 normal and 2000 anomalous test rows wanted" in refused(*words, *quick)
    assert "expected a fraction below 1" in refused(*words[:-1], 1.5)
    assert "give --labels deepad" in refused(*words, "--data_set", "kdd99+authors")
