"""Short folders of experiments, old ones renamed; what is scored again, and what is left out."""

import json
import logging

import pandas as pd
import pytest

import evaluate_models
from baselines import IsolationForest
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.experiments.migration import shorten_names
from libs.experiments.rescoring import Rescorer, saved_experiments
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell
from libs.ExperimentWrapper import ExperimentWrapper
from libs.utils.command_line import run as run_script

pytestmark = pytest.mark.usefixtures("without_roc_pictures")

PLAIN = Experiment(("normal",), ("DoS", "Probe"), ("R2L", "U2R"))
SIXTY = tuple(f"{'fifteen-letters'[:13]}{i:02}" for i in range(60))
EXPERIMENTS = {
    "_known_ in a class": Experiment(("a_known_b",), ("c",)),
    "a slash": Experiment(("n",), ("tcp/udp", "../../../evil")),
    "blanks": Experiment(("normal rows",), ("novel DoS",)),
    "sixty classes": Experiment(("n",), SIXTY[:30], SIXTY[30:]),
    "a label of 300 characters": Experiment(("n",), ("x" * 300,)),
    "a formula": Experiment(("=1+1",), ("$x$",)),
    "a dot": Experiment((".",), ("..",)),
}


def former_name(cell: Cell) -> str:
    """As it was, cut to what a file system takes."""
    pollution = f"-p{cell.p_contamination:g}" if cell.p_contamination else ""
    return f"former {cell.experiment.name[:200]}{pollution}".replace("/", "%2F")


def describe(cell: Cell) -> dict:
    experiment = {r: getattr(cell.experiment, r) for r in ("normal", "known", "unknown")}
    about = {"data": {"data_set": "toy", "seed": 1}, "protocol": "a3", "experiment": experiment}
    return about | {"p_contamination": cell.p_contamination}


@pytest.mark.parametrize("what", EXPERIMENTS)
@pytest.mark.parametrize("p", [0.0, 0.01])
def test_folders_are_renamed(what, p, tmp_path, caplog):
    cell = Cell(EXPERIMENTS[what], p_contamination=p)
    assert len(cell.folder) <= 60
    results, models = tmp_path / "results", tmp_path / "models"
    result = results / former_name(cell) / "test/experiment.json"
    model = models / former_name(cell) / "A3/n5/manifest.json"
    for path, about in ((result, describe(cell)), (model, {"run": describe(cell)})):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(about))
    for folder in (results, models):
        shorten_names(folder)
        shorten_names(folder)  # again: nothing is left to do
        assert [path.name for path in folder.glob("[!.]*")] == [cell.folder]
    assert (models / cell.folder / "A3/n5/manifest.json").is_file()


def test_names_are_told_apart():
    """Also those that only differ where they are cut."""
    cells = [Cell(experiment) for experiment in EXPERIMENTS.values()]
    cells += [Cell(Experiment(("n",), SIXTY)), Cell(Experiment(("n",), SIXTY[:59]))]
    cells += [Cell(Experiment(("a",), ("b_known_c",))), Cell(Experiment(("a_known_b",), ("c",)))]
    experiments = {cell.experiment for cell in cells}
    assert len({cell.folder for cell in cells}) == len(experiments)
    assert Cell(PLAIN).folder == "normal_known_DoS+Probe_unknown_R2L+U2R"


def test_what_cannot_be_renamed_stays(tmp_path, caplog):
    cell = Cell(PLAIN)
    for name in ("former", cell.folder):
        (tmp_path / name / "test").mkdir(parents=True)
        (tmp_path / name / "test/experiment.json").write_text(json.dumps(describe(cell)))
    for text in ("", "[]", "{}", '{"run": 1}', json.dumps(describe(cell) | {"experiment": 3})):
        (tmp_path / "foreign/test").mkdir(parents=True, exist_ok=True)
        (tmp_path / "foreign/test/experiment.json").write_text(text)
        with caplog.at_level(logging.WARNING):
            shorten_names(tmp_path)
    names = {path.name for path in tmp_path.glob("[!.]*")}
    assert names == {"former", "foreign", cell.folder}
    assert "is not renamed" in caplog.text


DIGITS = Experiment(("0", "1"), ("2",), ("3",))


@pytest.fixture(scope="module")
def handler():
    return DataHandler(datasets.load("digits"), SplitRules(test=0.3, validation=0.15), 706)


def train(handler, folder, methods, experiment=DIGITS, **kw) -> pd.DataFrame:
    """Runs of an experiment; its metric table."""
    settings = RunSettings(folder / "models", folder / "results")
    wrapper = ExperimentWrapper(handler, "a3", "test", settings)
    wrapper.run(Cell(experiment, (0,)), methods, **kw)
    path = folder / "results/digits/a3/706" / Cell(experiment).folder / "test/known.metric.csv"
    return pd.read_csv(path, index_col=0)


@pytest.mark.slow
def test_former_results_are_found_by_scripts(handler, tmp_path, monkeypatch, capsys):
    """A do_ script trains nothing again; evaluate_models.py finds models and results."""
    methods = {"IsolationForest": IsolationForest(n_estimators=5)}
    long = Experiment(("0", "1"), ("2", "3", "4"), ("5", "6", "7", "8", "9"))
    before = train(handler, tmp_path, methods, long)
    places = [tmp_path / root / "digits/a3/706" for root in ("models", "results")]
    manifest = next(places[0].rglob("manifest.json"))
    written = manifest.read_bytes()
    for place in places:
        (place / Cell(long).folder).rename(place / "former name")
    pd.testing.assert_frame_equal(train(handler, tmp_path, methods, long), before)
    assert manifest.read_bytes() == written
    for place in places:
        (place / Cell(long).folder).rename(place / "former name")
    monkeypatch.chdir(tmp_path)
    parser = evaluate_models.parser_of_script()
    assert run_script(evaluate_models.main, parser, ["706"]) == 0
    assert "largest difference to the kept scores: 0" in capsys.readouterr().out
    assert manifest.read_bytes() == written
    assert [p.name for p in places[1].glob("[!.]*")] == [Cell(long).folder]


@pytest.mark.slow
def test_runs_of_other_settings_are_left_out(handler, tmp_path, caplog):
    """A run that was trained otherwise is no row beside those of now."""
    train(handler, tmp_path, {"Few": IsolationForest(n_estimators=5)})
    methods = {n: IsolationForest(n_estimators=7) for n in ("Few", "More")}
    with caplog.at_level(logging.WARNING):
        table = train(handler, tmp_path, methods, only=["More"])
    assert list(table.index) == ["More"]
    assert "n_estimators: found 5, wanted 7" in caplog.text


@pytest.mark.slow
def test_only_the_method_that_is_asked_for_is_scored(handler, tmp_path):
    """The others keep their rows in the result files; the table of the seed has only its runs."""
    methods = {n: IsolationForest(n_estimators=5) for n in ("One", "Two")}
    train(handler, tmp_path, methods)
    (folder,) = saved_experiments(tmp_path / "models", 706, "Two")
    table = Rescorer(None, "test", tmp_path / "again", "Two").rescore(folder)
    assert set(table["run"]) == {"Two"}
    (path,) = (tmp_path / "again").rglob("known.metric.csv")
    assert list(pd.read_csv(path)["run"]) == ["One", "Two"]


@pytest.mark.slow
def test_the_newest_run_says_what_is_measured(handler, tmp_path, caplog):
    """Runs on another split are left out, whichever sorts first."""
    train(handler, tmp_path, {"A": IsolationForest(n_estimators=5)})
    other = DataHandler(handler.data, SplitRules(test=0.4, validation=0.15), 706)
    train(other, tmp_path, {"B": IsolationForest(n_estimators=5)})
    (folder,) = saved_experiments(tmp_path / "models", 706)
    with caplog.at_level(logging.WARNING):
        table = Rescorer(None, "test", tmp_path / "again").rescore(folder)
    assert set(table["run"]) == {"B"}
    assert "test: found 0.3, wanted 0.4" in caplog.text
