"""What a script runs: the protocols' cells, and what the command line makes of them."""

import json
import math
import sys
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_datahandler import data_set, identified

from baselines import DevNet, IsolationForest
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry
from libs.detectors.registry import COMPONENTS, Component
from libs.experiments import script
from libs.experiments.protocols import argue, r2ad2
from libs.experiments.script import study_parser
from libs.experiments.settings import Conditions, RunSettings, Selection
from libs.experiments.study import Cell, Study, select_cells
from libs.experiments.trainer import Trainer
from libs.ExperimentWrapper import ExperimentWrapper, run_study

MAIN, TRANSFER = Experiment(("a",), ("c", "d")), Experiment(("a",), ("c",), ("d",))
FOREST = IsolationForest(5)
OWN = Experiment(("b",), ("c",))
CELLS = [Cell(MAIN, (5, 100)), Cell(TRANSFER, (100,)), Cell(MAIN, (100,), 0.1)]


def _short(cells):
    return [(c.experiment, c.budgets, c.p_contamination, c.schedule) for c in cells]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [(MAIN, (5, 100), 0, 100), (TRANSFER, (100,), 0, 100), (MAIN, (100,), 0.1, 100)]),
        ({"budgets": [7]}, [(MAIN, (7,), 0, 100), (TRANSFER, (7,), 0, 100)]),
        ({"budgets": [0]}, [(MAIN, (0,), 0, 100), (TRANSFER, (0,), 0, 100)]),
        (
            {"contaminations": [0.0, 0.2]},
            [
                *((MAIN, (5, 100), p, 100) for p in (0, 0.2)),
                *((TRANSFER, (100,), p, 100) for p in (0, 0.2)),
            ],
        ),
        (
            {"experiment": Experiment(("b",), ("c",))},
            [(Experiment(("b",), ("c",)), (5, 100), 0, 100)],
        ),
        ({"all_contaminations": False}, [(MAIN, (5, 100), 0, 100), (TRANSFER, (100,), 0, 100)]),
        (
            {"all_budgets": False},
            [(MAIN, (100,), 0, 100), (TRANSFER, (100,), 0, 100), (MAIN, (100,), 0.1, 100)],
        ),
    ],
)
def test_the_command_line_chooses_cells(choice, expected):
    assert _short(select_cells(CELLS, Selection(**choice))) == expected


@pytest.mark.parametrize(("p", "schedule"), [(0.0, 100), (0.01, 0), (0.5, 100)])
def test_a_budget_has_the_rows_of_the_protocols_schedule(p, schedule):
    """So that what is trained for one budget fits what is trained for several later."""
    cells = [Cell(MAIN, (0,), 0.01), Cell(MAIN, (100,))]
    assert _short(select_cells(cells, Selection())) == [
        (MAIN, (0,), 0.01, 0),
        (MAIN, (100,), 0, 100),
    ]
    found = select_cells(cells, Selection(budgets=[5], contaminations=[p]))
    assert _short(found) == [(MAIN, (5,), p, schedule)]


def test_r2ad2_runs_main_transfer_budgets_and_pollution():
    study = r2ad2.r2ad2_study(
        "covtype", normal="123", anomalies="4567", transfer="45", dims=(4, 2), batch_size=8
    )
    main, transfer = (
        Experiment(tuple("123"), tuple("4567")),
        Experiment(*map(tuple, ("123", "45", "67"))),
    )
    assert _short(study.cells) == [
        (main, (5, 10, 25, 50, 100), 0, 0),
        (transfer, (100,), 0, 0),
        *((main, (100,), p, 0) for p in (0.025, 0.05, 0.075, 0.1)),
    ]
    assert study.rules == SplitRules(0.2, 0.05, test_seed=42, scale_on="normal")


def test_argue_runs_unsupervised_and_semi_supervised():
    study = argue.argue_study(
        "covtype", normal="12", anomalies="34", dims=(4, 2), batch_size=8, clusters=2
    )
    experiment = Experiment(("1", "2"), ("3", "4"))
    assert _short(study.cells) == [(experiment, (0,), 0.01, 0), (experiment, (100,), 0, 0)]
    assert (study.rules.test, study.rules.validation, study.rules.test_seed) == (0.15, 0.05, 42)


PROTOCOLS = {"r2ad2": lambda args: None, "argue": lambda args: None}


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("", "protocol", "r2ad2"),
        ("--protocol argue", "protocol", "argue"),
        ("--n_anomalies 5 25", "n_train_anomalies", [5, 25]),
        ("--p_pollution 0.025", "p_contamination", [0.025]),
        ("--p_contamination 0 .1", "p_contamination", [0.0, 0.1]),
        ("--eval_n_anomalies False", "eval_n_anomalies", False),
        ("--eval_p_pollution True", "eval_p_pollution", True),
        ("--is_override False", "override", False),
        ("--is_override", "override", True),
        ("--learning_rate .001", "learning_rate", 0.001),
        ("--out_path here", "result_path", Path("here")),
    ],
)
def test_the_papers_options(words, name, value):
    args = study_parser("", PROTOCOLS).parse_args(["110", "test", *words.split()])
    assert getattr(args, name) == value


@pytest.mark.parametrize(
    "words",
    [
        "--protocol a3",
        "--learning_rate 0",
        "--learning_rate fast",
        "--n_epochs 0",
        "--n_anomalies x",
    ],
)
def test_wrong_options(words, capsys):
    with pytest.raises(SystemExit):
        study_parser("", PROTOCOLS).parse_args(["110", "test", *words.split()])
    assert "error: argument" in capsys.readouterr().err


@given(seed=st.integers(0, 2**31 - 1), p=st.sampled_from([0.0, 0.05, 0.2]), known=st.integers(0, 9))
def test_classes_of_training_rows(seed, p, known):
    """Own classes; a polluted row has a random normal class; known anomalies keep theirs."""
    data = data_set(500, maximum=1.0)
    experiment = Experiment(("a", "b"), ("c", "d"))
    splits = DataHandler(data, SplitRules(), seed).split(experiment, known, p_contamination=p)
    true, normal = data.classes[identified(splits.x_train)], splits.y_train == 0
    polluted = normal & np.isin(true, experiment.known)
    assert polluted.sum() == round((normal.sum() - polluted.sum()) * p / (1 - p))
    np.testing.assert_array_equal(splits.classes_train[~polluted], true[~polluted])
    assert set(splits.classes_train[polluted]) <= {"a", "b"}
    if polluted.sum() > 15:
        assert set(splits.classes_train[polluted]) == {"a", "b"}


class Grouping(IsolationForest):
    """A method that asks for the classes of the training rows."""

    uses_classes = True
    uses_labels = True
    seen = None

    def __init__(self, budgets=None, random_state=0):
        self.budgets = budgets
        super().__init__(random_state=random_state)

    def _fit(self, x, y, classes):
        Grouping.seen = classes
        self.budgets_ = self.budgets
        return super()._fit(x, y)


@pytest.fixture
def wrapper(tmp_path):
    handler = DataHandler(data_set(500), SplitRules(), 1)
    return ExperimentWrapper(handler, "argue", "test", RunSettings(tmp_path / "m", tmp_path / "r"))


def test_methods_may_ask_for_classes(wrapper, monkeypatch):
    monkeypatch.setitem(COMPONENTS, "Grouping", Component(__name__))
    experiment = Experiment(("a", "b"), ("c",))
    wrapper.run(Cell(experiment, (3,)), {"Grouping": Grouping()})
    assert wrapper.finish() == 0
    splits = wrapper.handler.split(experiment, 3)
    np.testing.assert_array_equal(Grouping.seen, splits.classes_train)
    assert list(Grouping.seen[-3:]) == ["c"] * 3


@pytest.mark.slow
def test_without_known_anomalies_methods_that_need_them_are_left_out(wrapper):
    methods = {"IsolationForest": IsolationForest(5), "DevNet": DevNet()}
    wrapper.run(Cell(Experiment(("a", "b"), ("c",)), (0,)), methods)
    assert wrapper.finish() == 0
    assert [p.name for p in next(wrapper.models.iterdir()).iterdir()] == ["IsolationForest"]
    wrapper.run(Cell(Experiment(("a", "b"), ("c",)), (0,)), methods, only=["DevNet"])
    assert "DevNet needs at least 1 known anomalies" in wrapper.failures[0]


def test_another_learning_rate_has_a_protocol_of_its_own(tmp_path):
    handler = DataHandler(data_set(200), SplitRules(), 1)
    places = {"model_path": tmp_path / "m", "result_path": tmp_path / "r"}
    wrapper = ExperimentWrapper(
        handler, "r2ad2", "val", RunSettings(learning_rate=0.5, n_epochs=3, **places)
    )
    assert wrapper.protocol == "r2ad2-e3-lr0.5"
    assert wrapper.settings.replaced == {
        "epochs": 3,
        "learning_rate": 0.5,
        "precision": "float32",
    }


def test_an_option_of_the_paper_reaches_what_has_its_default(tmp_path):
    """R2-AD2's --n_epochs leaves checkpoints, DevNet and whatever has lengths of its own alone."""
    handler = DataHandler(data_set(500), SplitRules(), 1)
    published = {"epochs": 100, "learning_rate": 1e-3}
    methods = r2ad2.r2ad2_methods((4, 2), 8, (4, 2))
    for n_epochs, rate, expected, suffix in (
        (None, None, 100, ""),
        (100, 1e-3, 100, ""),
        (7, None, 7, "-e7"),
    ):
        settings = RunSettings(tmp_path / "m", tmp_path / "r", n_epochs, rate, published=published)
        wrapper = ExperimentWrapper(handler, "r2ad2", "val", settings)
        assert wrapper.protocol == f"r2ad2{suffix}"
        conditions = Conditions(handler.describe(), "r2ad2", MAIN)
        splits = handler.split(Experiment(("a",), ("c",)))
        how = {"budgets": (5,), "conditions": conditions, "encoder": None, "scored": ("val",)}
        trainer = Trainer(tmp_path, splits, methods, settings=settings, **how)
        configured = trainer._configure(methods["R2AD2"])
        assert (configured.epochs, configured.target.epochs) == (expected, 10)
        assert trainer._configure(methods["DevNet"]).epochs == 50


def test_rows_that_scale_can_be_chosen(tmp_path, monkeypatch):
    """The choice has a protocol's name of its own, so that results do not mix."""
    monkeypatch.setattr(registry, "load", lambda *_: data_set(300))
    study = Study("toy", SplitRules(), [Cell(Experiment(("a",), ("c",)))], lambda _: {"IF": FOREST})
    settings = RunSettings(tmp_path / "m", tmp_path / "r")
    selection = Selection(scale_on="normal")
    assert run_study(study, "a3", 1, "test", selection=selection, settings=settings) == 0
    (path,) = tmp_path.glob("r/*/*/1/*/test/experiment.json")
    about = json.loads(path.read_text())
    assert about["protocol"] == "a3-scale_normal"
    assert about["data"]["rules"]["scale_on"] == "normal"


def test_a_killed_override_leaves_a_note(tmp_path, monkeypatch):
    """The same command, started again, goes on; another one, or the next, begins anew."""
    args = Namespace(override=True, model_path=tmp_path)

    def begun(command: str, killed: bool = False) -> float:
        monkeypatch.setattr(sys, "argv", command.split())
        with suppress(KeyboardInterrupt), script._overriding(args) as since:
            found.append(since)
            if killed:
                raise KeyboardInterrupt
        return found[-1]

    found: list[float] = []
    first = begun("./do_digits.py 1 test --override", killed=True)
    time.sleep(0.01)
    assert begun("do_digits.py 2 test --override") > first
    assert begun("do_digits.py 1 test --override") == first
    assert begun("do_digits.py 1 test --override") > first
    assert not list(tmp_path.iterdir())
    args.override = False
    assert begun("do_digits.py 1 test") == math.inf
