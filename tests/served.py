"""Small results and models for the dashboard's tests: digits trained for a moment, and copies."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from app.api import create_app
from app.settings import Settings
from baselines import Autoencoder, IsolationForest
from libs.A3 import A3
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets import registry as datasets
from libs.datasets.tabular.own import UNLABELLED, OwnTable
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell
from libs.ExperimentWrapper import ExperimentWrapper

PLACE = {
    "data_set": "digits",
    "protocol": "a3",
    "seed": 1,
    "experiment": "0+1+4_known_2_unknown_3",
    "part": "test",
}
RUN = PLACE | {"view": "transfer", "run": "A3-n10"}
MODEL = "digits/a3/1/0+1+4_known_2_unknown_3/A3-n10"
EXPERIMENT = Experiment(("0", "1", "4"), ("2",), ("3",))
RULES = SplitRules(test=0.3, validation=0.35)


def handler() -> DataHandler:
    return DataHandler(datasets.load("digits"), RULES, PLACE["seed"])


def client_of(settings: Settings) -> TestClient:
    return TestClient(create_app(settings), base_url="http://127.0.0.1:8050")


def write_digits(folder: Path) -> Settings:
    """Train three methods, and add a second seed and a pollution that are copies."""
    target = Autoencoder(dims=(32, 16), epochs=30, batch_size=32, learning_rate=1e-3)
    alarm = {"alarm_dims": (32, 16), "epochs": 20, "batch_size": 32, "learning_rate": 1e-3}
    methods = {
        "A3": A3(target=target, **alarm),
        "Autoencoder": target,
        "IsolationForest": IsolationForest(),
    }
    places = {"model_path": folder / "models", "result_path": folder / "results"}
    wrapper = ExperimentWrapper(handler(), "a3", "test", RunSettings(**places))
    wrapper.run(Cell(EXPERIMENT, (5, 10)), methods)
    assert wrapper.finish() == 0
    copy_result(folder / "results", seed=2, p=0.0)
    copy_result(folder / "results", seed=1, p=0.05)
    return Settings(results=folder / "results", models=folder / "models")


def copy_result(results: Path, seed: int, p: float) -> Path:
    """The same scores under another seed or pollution, with other metrics."""
    first = results.joinpath(*map(str, list(PLACE.values())[:4]))
    name = first.name + (f"-p{p:g}" if p else "")
    target = first.parent.parent / str(seed) / name
    shutil.copytree(first, target)
    path = target / "test/experiment.json"
    about = json.loads(path.read_text())
    about["data"]["seed"], about["p_contamination"] = seed, p
    path.write_text(json.dumps(about))
    for file in target.glob("test/*.metric.csv"):
        table = pd.read_csv(file)
        table[["AUC", "AP"]] *= 0.9
        table.to_csv(file, index=False)
    return target / "test"


def kept_scores(settings: Settings, **changes) -> dict[str, np.ndarray]:
    """Scores and classes as the files have them."""
    place = PLACE | changes
    with np.load(settings.results.joinpath(*map(str, place.values()), "scores.npz")) as arrays:
        return dict(arrays)


def view(settings: Settings, run: str = "A3-n10") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers, labels and scores of the view transfer."""
    kept = kept_scores(settings)
    return np.arange(len(kept[run])), np.isin(kept["classes"], ["2", "3"]).astype(int), kept[run]


def write_payments(folder: Path) -> Settings:
    """Train on a table with text, gaps, ids, notes and a "score"; with labels and without."""
    rng = np.random.default_rng(0)
    lines = ["ref,amount,kind,place,score,file,class"]
    for i in range(200):
        odd = i % 10 == 0
        amount = "" if i % 17 == 5 else round(float(rng.normal(900 if odd else 100, 20)), 2)
        kind = "" if i % 23 == 7 else "wire" if odd else "card"
        place, score = "=a" if i % 2 else "b", round(float(rng.random()), 3)
        lines.append(f"r{i},{amount},{kind},{place},{score},note {i},{'fraud' if odd else 'fine'}")
    path = folder / "payments.csv"
    path.write_text("\n".join(lines) + "\n")
    rules = SplitRules(validation=0.2)
    method = Autoencoder(dims=(4, 2), epochs=5, batch_size=32, learning_rate=1e-3)
    places = {"model_path": folder / "models", "result_path": folder / "results"}
    for label, experiment in (
        ("class", Experiment(("fine",), ("fraud",))),
        (None, Experiment((UNLABELLED,))),
    ):
        about = {"label": label, "missing": "median", "ids": ("ref",)}
        data = OwnTable.of([path], None, **about).load(rules.test, 3)
        handler = DataHandler(data, rules, 3)
        wrapper = ExperimentWrapper(handler, "a3", "test", RunSettings(**places))
        wrapper.run(Cell(experiment), {"Autoencoder": method})
        assert wrapper.finish() == 0
    return Settings(results=folder / "results", models=folder / "models")


OWN = {
    "data_set": "csv-payments",
    "protocol": "a3",
    "seed": 3,
    "experiment": "fine_known_fraud",
    "view": "known",
    "run": "Autoencoder",
}
UNLABELLED_RUN = OWN | {"experiment": UNLABELLED, "view": "all"}
