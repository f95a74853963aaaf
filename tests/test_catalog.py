"""The dashboard on damaged descriptions and manifests: answers or words, never a failure."""

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import MODEL, PLACE, RUN, client_of

from libs.datasets.splits.experiment import NATURAL

STRANGE = (None, [], {}, "x", -1, 0.5, True, [None], {"x": 1}, 2**70, float("inf"), "x" * 10_000)
LISTS = {"/api/results": {}, "/api/models": {}}
STUDY = {"data_set": "digits", "protocol": "a3"}
ADDRESSES = LISTS | {
    "/api/metrics": STUDY,
    "/api/scores": RUN,
    "/api/thresholds": RUN,
    "/api/rows": RUN | {"threshold": 0},
    "/api/row": RUN | {"row": 1},
    "/api/expected": {"model": MODEL},
    "/api/example": {"model": MODEL},
}


@pytest.fixture
def own(settings, tmp_path):
    """A copy that may be damaged, and its client."""
    for name in ("results", "models"):
        shutil.copytree(getattr(settings, name), tmp_path / name)
    settings = replace(settings, results=tmp_path / "results", models=tmp_path / "models")
    return settings, client_of(settings)


def edits(value: Any) -> Iterator[Any]:
    """Copies of a description with one entry left out or strange, at every depth."""
    for key in value if isinstance(value, dict) else range(len(value)):
        for strange in STRANGE:
            edited = copy.deepcopy(value)
            edited[key] = strange
            yield edited
        edited = copy.deepcopy(value)
        del edited[key]
        yield edited
        if isinstance(value[key], (dict, list)):
            for inner in edits(value[key]):
                edited = copy.deepcopy(value)
                edited[key] = inner
                yield edited


def texts_of(value: Any) -> list[str]:
    """Files that are no description, and every sixth edit of one, of 13 for each key."""
    return ["", "{", "\x00", "[" * 100_000, *map(json.dumps, [*STRANGE, *[*edits(value)][::6]])]


def ask(client, addresses: dict) -> dict[str, int]:
    """Statuses of the answers; the client raises what the application does not catch."""
    return {path: client.get(path, params=query).status_code for path, query in addresses.items()}


@pytest.mark.slow
def test_strange_descriptions(own):
    """Wherever experiment.json is strange, the list shows the other results."""
    settings, client = own
    path = settings.results.joinpath(*map(str, PLACE.values()), "experiment.json")
    whole = json.loads(path.read_text())
    for i, text in enumerate(texts_of(whole)):
        path.write_text(text)
        found = ask(client, LISTS if i % 3 else ADDRESSES)
        assert set(found.values()) <= {200, 404, 422}, text[:200]
        assert found["/api/results"] == found["/api/models"] == 200
    assert len(client.get("/api/results").json()["listed"]) == 3


def test_natural_pollution(own):
    """Stored as 1, above what `DataHandler.split` takes as a fraction, and not damaged."""
    settings, client = own
    path = settings.results.joinpath(*map(str, PLACE.values()), "experiment.json")
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"p_contamination": NATURAL}))
    found = {line["p_contamination"] for line in client.get("/api/results").json()["listed"]}
    assert found == {NATURAL, 0.0, 0.05}
    assert set(ask(client, ADDRESSES).values()) == {200}
    path.write_text(json.dumps(whole | {"p_contamination": 1.5}))
    assert [line for line in client.get("/api/results").json()["listed"] if line["problem"]]


@pytest.mark.slow
def test_strange_manifests(own):
    """Wherever a manifest is strange, the list shows the other models."""
    settings, client = own
    path = next(settings.models.glob("**/A3/*/manifest.json"))
    whole = json.loads(path.read_text())
    short = {name: whole[name] for name in ("budgets", "rate", "input_shape", "run", "detector")}
    used = {a: ADDRESSES[a] for a in ("/api/thresholds", "/api/expected", "/api/example")}
    for i, text in enumerate(texts_of(short)):
        path.write_text(text)
        found = ask(client, LISTS if i % 3 else LISTS | used)
        assert set(found.values()) <= {200, 404, 422}, text[:200]
        assert found["/api/results"] == found["/api/models"] == 200
        assert len(client.get("/api/models").json()["names"]) >= 2


@pytest.mark.slow
def test_damaged_scores_and_calibrations(own):
    """Each of a sample of bytes is changed in turn."""
    settings, client = own
    rng = np.random.default_rng(1)
    scores = settings.results.joinpath(*map(str, PLACE.values()), "scores.npz")
    calibration: Path = next(settings.models.glob("**/A3/*/calibration.npz"))
    addresses = {a: ADDRESSES[a] for a in ("/api/scores", "/api/thresholds", "/api/expected")}
    for path in (scores, calibration):
        whole = path.read_bytes()
        for i in [*range(0, 80, 4), *rng.integers(len(whole), size=20), *range(-150, 0, 4)]:
            damaged = bytearray(whole)
            damaged[i] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            assert set(ask(client, addresses).values()) <= {200, 422}
        path.write_bytes(whole)
