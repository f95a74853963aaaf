"""score.py: constant memory, the same bytes after a kill, and a message for every broken table."""

import csv
import gzip
import io
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import make
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from processes import ROOT, run

from baselines import DevNet, MeanDistance
from libs import Metrics
from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets.tabular import reading
from libs.datasets.tabular.own import OwnTable
from libs.detectors.components import component
from libs.detectors.detector import Detector
from libs.detectors.network_detector import NetworkDetector
from libs.detectors.registry import COMPONENTS
from libs.experiments import file_scoring as scoring
from libs.experiments.file_scoring import Scorer, score_files
from libs.experiments.model_folders import load_model, run_folder
from libs.experiments.settings import RunSettings
from libs.experiments.study import Cell, Study
from libs.ExperimentWrapper import run_study
from libs.utils.errors import UserError
from libs.utils.storage import write_manifest

N = 500


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A table, of which a column is dropped, and two models: one column of scores, two budgets."""
    folder = tmp_path_factory.mktemp("score")
    rng = np.random.default_rng(0)
    columns = {f"v{i}": rng.normal(size=N).round(3) for i in range(4)}
    columns |= {"t": rng.choice(["a", "b"], N), "class": rng.choice(["n", "n", "n", "k"], N)}
    columns["unit"] = ["EUR"] * N
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / "t.csv")
    frame.drop("class").write_parquet(folder / "t.parquet", row_group_size=50)
    table = OwnTable.of([folder / "t.csv"], None, label="class")
    handler = DataHandler(table.load(0.2, 1), SplitRules(), 1)
    splits = handler.split(Experiment(("n",), ("k",)), 10)
    for detector in (MeanDistance(), make("DevNet").set_params(budgets=(5, 10))):
        detector.fit(splits.x_train, splits.y_train).calibrate(splits.x_val_normal)
        detector.save(folder / type(detector).__name__ / "run", None, handler.encoder(splits))
    return folder


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 64)


def expected(house: Path, model: str) -> np.ndarray:
    scorer = Scorer(house / model)
    return np.concatenate(
        [
            scorer.detector.decision_matrix(scorer.encoder.rows(b))
            for b in reading.read(house / "t.csv")
        ]
    )


@pytest.mark.slow
def test_scores_and_flags(house, tmp_path, small_blocks):
    scorer = Scorer(house / "DevNet", 0.1)
    out = tmp_path / "scores.csv"
    assert (
        score_files(scorer, [str(house / "t.csv"), str(house / "t.parquet")], str(out))["rows"]
        == 2 * N
    )
    assert not list(tmp_path.glob("scores.csv.*"))
    table = pd.read_csv(out)
    scores = expected(house, "DevNet")
    for half, file in ((table[:N], "t.csv"), (table[N:], "t.parquet")):
        assert set(half["file"]) == {str(house / file)}
        assert list(half["row"]) == list(range(1, N + 1))
        for i, budget in enumerate((5, 10)):
            found = half[f"score-n{budget}"].to_numpy(np.float32)
            np.testing.assert_array_equal(found, scores[:, i])
            threshold = Metrics.threshold_at(scorer.detector.calibration_scores_[:, i], 0.1)
            np.testing.assert_array_equal(half[f"anomaly-n{budget}"], scores[:, i] > threshold)
    assert 0 < table["anomaly-n5"].mean() < 1


def test_a_number_of_alerts(house, tmp_path, small_blocks):
    """The highest scores of all files; fewer where equal ones, here in pairs, would make more."""
    files = [str(house / "t.csv"), str(house / "t.parquet")]
    scores = np.sort(np.tile(expected(house, "MeanDistance")[:, 0], 2))
    for alerts, flagged in ((20, 20), (21, 20), (5000, 2 * N)):
        scorer = Scorer(house / "MeanDistance")
        scoring.flag_highest(scorer, files, alerts)
        counts = score_files(scorer, files, str(tmp_path / "s.csv"))
        table = pd.read_csv(tmp_path / "s.csv")
        assert counts["flagged"] == table["anomaly"].sum() == flagged
        assert table.loc[table["anomaly"] == 1, "score"].min() == pytest.approx(scores[-flagged])
        assert f"{flagged:,} flagged" in scorer.summary(counts)[0]
    with pytest.raises(UserError, match="standard input does not allow"):
        scoring.flag_highest(scorer, ["-"], 5)


@pytest.mark.slow
def test_parquet_out(house, tmp_path, small_blocks):
    files = [str(house / "t.parquet")]
    for name in ("s.csv", "s.parquet"):
        score_files(Scorer(house / "MeanDistance", 0.1), files, str(tmp_path / name))
    one = pd.read_csv(tmp_path / "s.csv")
    two = pl.read_parquet(tmp_path / "s.parquet")
    assert list(one) == two.columns == ["file", "row", "line", "unit", "score", "anomaly"]
    np.testing.assert_array_equal(one["score"].to_numpy(np.float32), two["score"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
@pytest.mark.parametrize("killed_after", [0, 1, 5, 8])
def test_killed_and_resumed(house, tmp_path, small_blocks, monkeypatch, name, killed_after):
    """The same bytes; no block that was done is scored again."""
    files, scored = [str(house / "t.csv"), str(house / "t.parquet")], []
    score_files(Scorer(house / "DevNet"), files, str(tmp_path / "whole" / name))

    class Mortal(Scorer):
        def columns(self, block):
            if len(scored) == killed_after:
                raise KeyboardInterrupt
            scored.append((block.source, block.numbers[0]))
            return super().columns(block)

    with pytest.raises(KeyboardInterrupt):
        score_files(Mortal(house / "DevNet"), files, str(tmp_path / name))
    assert not (tmp_path / name).exists()
    killed_after = -1
    score_files(Mortal(house / "DevNet"), files, str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(scored) == len(set(scored)) == 16
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.slow
def test_parts_of_another_job_are_not_taken(house, tmp_path, small_blocks, monkeypatch):
    out = tmp_path / "s.csv"
    score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], str(out))
    expected = out.read_bytes()
    monkeypatch.setattr(scoring, "_join", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_files(Scorer(house / "DevNet", 0.1), [str(house / "t.csv")], str(out))
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MOST_ROWS", 64)
    score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], str(out))
    assert out.read_bytes() == expected


def test_parts_of_a_file_that_was_rewritten_are_not_taken(
    house, tmp_path, small_blocks, monkeypatch
):
    """Though its size and its time of change are as before."""
    table, out = tmp_path / "t.csv", tmp_path / "s.csv"
    text = (house / "t.csv").read_text()
    table.write_text(text)
    before = table.stat()
    monkeypatch.setattr(scoring, "_join", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_files(Scorer(house / "MeanDistance"), [str(table)], str(out))
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MOST_ROWS", 64)
    header, rows = text.split("\n", 1)
    table.write_text(header + "\n" + rows.translate(str.maketrans("123", "987")))
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert table.stat().st_size == before.st_size
    score_files(Scorer(house / "MeanDistance"), [str(table)], str(out))
    found = out.read_bytes()
    out.unlink()
    score_files(Scorer(house / "MeanDistance"), [str(table)], str(out))
    assert out.read_bytes() == found


def test_rows_that_overflow_score_highest(house, tmp_path):
    """Finite or infinite, but never NaN, which no threshold would flag."""
    path = tmp_path / "far.csv"
    rows = ("0,0,0,0,a,EUR", "1e38,-1e38,1e38,1e38,a,EUR", "1e30,0,0,0,new,EUR")
    path.write_text("\n".join(["v0,v1,v2,v3,t,unit", *rows]) + "\n")
    for model in ("MeanDistance", "DevNet"):
        score_files(Scorer(house / model, 0.1), [str(path)], str(tmp_path / "s.csv"))
        table = pd.read_csv(tmp_path / "s.csv")
        assert table.notna().all(axis=None)
        assert table["score" if model == "MeanDistance" else "score-n5"].argmax() > 0


def test_wrong_input(house, tmp_path):
    (tmp_path / "t.csv").write_text("v0,v1,v2,v3,w\n1,2,3,4,5\n")
    with pytest.raises(UserError, match="missing: t; extra: w"):
        score_files(Scorer(house / "DevNet"), [str(tmp_path / "t.csv")], str(tmp_path / "s.csv"))
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    with pytest.raises(UserError, match=r"ends in .csv or .parquet"):
        score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], str(tmp_path / "s.txt"))
    with pytest.raises(UserError, match="needs at least 100000 normal validation rows"):
        _ = Scorer(house / "DevNet", 1e-5).thresholds
    with pytest.raises(UserError, match="not a model folder"):
        Scorer(tmp_path)
    shutil.copytree(house / "DevNet/run", tmp_path / "DevNet/run")
    shutil.copytree(house / "DevNet/run", tmp_path / "DevNet/other")
    with pytest.raises(UserError, match="several models"):
        Scorer(tmp_path / "DevNet")


def test_foreign_files_are_never_touched(house, tmp_path):
    """Neither an input that --out names nor a folder that happens to have the name of the parts."""
    table = tmp_path / "t.csv"
    shutil.copy(house / "t.csv", table)
    content = table.read_bytes()
    with pytest.raises(UserError, match="is one of the files to score"):
        score_files(Scorer(house / "DevNet"), [str(table)], str(tmp_path / "sub/../t.csv"))
    (tmp_path / "s.csv.parts").mkdir()
    (tmp_path / "s.csv.parts/mine.parquet").write_text("precious")
    with pytest.raises(UserError, match=r"holds mine.parquet, which score.py did not write"):
        score_files(Scorer(house / "DevNet"), [str(table)], str(tmp_path / "s.csv"))
    assert (tmp_path / "s.csv.parts/mine.parquet").read_text() == "precious"
    assert table.read_bytes() == content


def test_two_processes_with_one_output(house, tmp_path, monkeypatch):
    """The second one waits, finds the folder of parts gone, and scores again."""
    out, locked = tmp_path / "s.csv", scoring.storage.locked
    first = []

    @contextmanager
    def late(folder, busy):
        with locked(folder, busy):
            if not first:  # the other process ends and removes the folder
                first.append(shutil.rmtree(folder))
            yield

    monkeypatch.setattr(scoring.storage, "locked", late)
    assert score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], str(out))["rows"] == N
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_extra_columns_are_ignored_and_drift_is_told(house, tmp_path, small_blocks, caplog):
    """The same counts after a kill, and as a stream."""
    frame = pl.read_csv(house / "t.csv").with_columns(pl.lit("z").alias("t"), v0=pl.col("v0") * 9)
    frame.with_columns(new=1, key=pl.int_range(N)).write_csv(tmp_path / "t.csv")
    scorer = Scorer(house / "DevNet", 0.1, ids=("key", "v1"))
    counts = score_files(scorer, [str(tmp_path / "t.csv")], str(tmp_path / "s.csv"))
    assert "columns unknown to the model: new" in caplog.text
    assert counts["rows"] == N
    assert counts["strange t"] == N
    assert 0 < counts["strange v0"] < N
    text = "\n".join(scorer.summary(counts))
    assert "100.0% of the rows have in 't' a text that no training row had" in text
    assert f"{counts['flagged']:,} flagged" in text
    found = pl.read_csv(tmp_path / "s.csv")
    assert found.columns[:6] == ["file", "row", "line", "unit", "key", "v1"]
    assert set(found["unit"]) == {"EUR"}
    assert found["key"].to_list() == list(range(N))
    assert found["line"].to_list() == list(range(2, N + 2))
    same = score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], str(tmp_path / "s.csv"))
    assert not any(name.startswith("strange t") for name in same)


@pytest.mark.parametrize("device", ["/dev/full", None])
def test_a_full_or_closed_output_is_a_message(house, monkeypatch, device):
    with ExitStack() as stack:
        full = stack.enter_context(open(device, "w")) if device else None
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(UserError, match="standard output"):
            score_files(Scorer(house / "DevNet"), [str(house / "t.csv")], "-")
        monkeypatch.undo()


def test_the_nearest_models_are_named(house, tmp_path):
    """For a folder one level too high and for a typo; nobody is told to remove anything."""
    for name, words in (("DevNt", "not there"), ("", "several models")):
        with pytest.raises(UserError, match=words) as error:
            run_folder(house / name)
        assert "DevNet/run" in str(error.value)
        assert "emove" not in str(error.value)
    with pytest.raises(UserError, match="is not a model folder"):
        run_folder(tmp_path)
    assert run_folder(house / "DevNet") == house / "DevNet/run"


def test_a_model_without_named_inputs(house, tmp_path):
    DevNet(epochs=1, batches=1).fit(np.eye(9), [0] * 8 + [1]).save(tmp_path / "run")
    with pytest.raises(UserError, match=r"holds no inputs.json"):
        Scorer(tmp_path)


@pytest.mark.slow
def test_from_standard_input_to_standard_output(house):
    """As a pipe, in a process of its own; the reader may leave early."""
    words = [ROOT / "score.py", house / "MeanDistance", "-", "--out", "-"]
    content = gzip.compress((house / "t.csv").read_bytes())
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, input=content, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(io.BytesIO(done.stdout))["score"].to_numpy(np.float32)
    np.testing.assert_array_equal(found, expected(house, "MeanDistance")[:, 0])
    assert b"500 rows scored" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "content", "message"),
    [
        ("do_csv.py", "a,b\n1,2\n1\n", "line 3: expected 2 columns"),
        ("score.py", "a\n1\n", "missing"),
    ],
)
def test_scripts_end_with_a_message(house, tmp_path, script, content, message):
    path = tmp_path / "t.csv"
    path.write_text(content)
    words = {"do_csv.py": [path, 1, "test"], "score.py": [house / "DevNet", path, "--out", "s.csv"]}
    command = [sys.executable, str(ROOT / script), *map(str, words[script])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# --- broken tables -------------------------------------------------------------------------------
NUMBERS = st.one_of(
    st.integers(-50, 50).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(
        ["1e39", "-1e400", "inf", "nan", "", "NA", "1e37", "-1e-45", "1,5", "x", "1_0"]
    ),
)
WORDS = st.sampled_from(["a", "b", "c", "", "ü", 'q"q', "a,b", "two\nlines", "NA", "\0", " a "])
DATES = st.dates().map(str)
KINDS = {
    "number": st.floats(-1e6, 1e6).map(repr),
    "odd": NUMBERS,
    "word": WORDS,
    "date": DATES,
    "any": st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=4),
    "same": st.just("7"),
}
DAMAGES = ("none", "bom", "gzip", "ragged", "long", "header", "names", "twice", "cut", "bytes")


@st.composite
def files(draw, names, damages=DAMAGES):
    """The bytes of a table, its cells by column, and what was done to it."""
    rows = draw(st.sampled_from([0, 1, 8, 15, 25]))
    columns = {
        name: draw(st.lists(KINDS[name.rstrip("0123456789")], min_size=rows, max_size=rows))
        for name in names
    }
    damage = draw(st.sampled_from(damages))
    encoding = draw(st.sampled_from(["utf-8"] * 8 + ["latin-1", "utf-16"]))
    lines = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    place = draw(st.integers(0, len(lines) - 1))
    if damage in ("ragged", "long"):
        lines[place] = lines[place][:-1] if damage == "ragged" else [*lines[place], "1"]
    lines = {"header": lines[:1], "names": lines[1:]}.get(damage, lines)
    if damage == "twice":
        lines = [[*line, line[0]] for line in lines]
    sink = io.StringIO()
    csv.writer(sink, delimiter=draw(st.sampled_from(",;\t|"))).writerows(lines)
    content = sink.getvalue().encode(encoding, "replace")
    if damage == "bom":
        content = b"\xef\xbb\xbf" + content
    if damage == "gzip":
        content = gzip.compress(content)
    if damage == "cut":
        content = gzip.compress(content)[: -draw(st.integers(1, 20))]
    if damage == "bytes":
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=6)) + content[at:]
    return content, columns, (damage, encoding)


def check_right(encoder, x: np.ndarray, columns: dict[str, list[str]]) -> None:
    """Inputs are what plain Python makes of the cells."""
    raw = x * encoder.span.astype(float) + encoder.low
    for column in encoder.schema.inputs:
        at = encoder.features.index(column.features[0])
        cells = [cell.strip() for cell in columns[column.name]]
        if column.kind == "text":
            cells = [cell or column.fill for cell in cells]
            wanted = [[float(cell == c) for c in column.categories] for cell in cells]
            np.testing.assert_allclose(raw[:, at : at + len(column.categories)], wanted, atol=1e-6)
        elif column.kind == "date":
            days = [date.fromisoformat(cell) for cell in cells]
            ages = [column.dates.newest - (day - date(1970, 1, 1)).days for day in days]
            parts = {"weekday": [d.weekday() for d in days], "age": np.maximum(ages, 0)}
            wanted = np.transpose([parts[part] for part in column.dates.parts])
            np.testing.assert_allclose(raw[:, at : at + wanted.shape[1]], wanted, rtol=1e-5, atol=1)
        else:
            wanted = [
                column.fill if cell.lower() in ("", "na", "nan") else float(cell) for cell in cells
            ]
            scale = max(map(abs, wanted))
            np.testing.assert_allclose(raw[:, at], wanted, rtol=1e-5, atol=1e-6 * scale + 1e-37)


@pytest.mark.slow
@settings(deadline=None, max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data(), missing=st.sampled_from(["refuse", "median"]))
def test_any_table_ends_in_a_message_or_a_right_result(data, missing):
    """The functions behind do_csv.py and score.py raise nothing but UserError."""
    kinds = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4))
    names = [f"{kind}{i}" for i, kind in enumerate(kinds)]
    train = data.draw(files(names, ("none",) * 20 + DAMAGES))
    new = data.draw(files(names))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, other = folder / "t.csv", folder / "new.csv"
        path.write_bytes(train[0])
        other.write_bytes(new[0])
        table = OwnTable.of([path], None, missing=missing)
        study = Study(
            table,
            SplitRules(validation=0.3, scale_on="normal"),
            [Cell(Experiment(("unlabelled",)))],
            lambda handler: {"MeanDistance": MeanDistance()},
        )
        settings = RunSettings(folder / "models", folder / "results")
        if told(lambda: run_study(study, "fuzz", 1, "test", settings=settings)):
            return
        assert train[2][0] not in ("header", "twice", "cut")
        assert not list(folder.rglob("error.json"))
        event("trained")
        (model,) = (folder / "models").glob("*/*/*/*/MeanDistance")
        scorer = Scorer(model)
        rows = score_files(scorer, [str(path)], str(folder / "s.csv"))["rows"]
        assert pd.read_csv(folder / "s.csv")["score"].notna().all()
        if train[2][0] in ("none", "bom", "gzip") and train[2][1] == "utf-8":
            assert rows == len(next(iter(train[1].values())))
            x = np.concatenate([scorer.encoder.rows(block) for block in reading.read(path)])
            check_right(scorer.encoder, x, train[1])
            event("right inputs")
        if not told(lambda: score_files(scorer, [str(other)], str(folder / "other.csv"))):
            assert pd.read_csv(folder / "other.csv")["score"].notna().all()


def told(function) -> bool:
    """Whether it raises a UserError, which says something."""
    try:
        function()
    except UserError as error:
        message = str(error)
    else:
        return False
    assert len(message) > 20
    return True


def test_help_names_both_scripts(capsys):
    assert run("score.py", "--help") == 0
    assert "fpr=RATE" in capsys.readouterr().out


def test_tensorflow_starts_for_networks_only(house, tmp_path):
    """A method without networks learns, is saved and scores without it."""
    code = """
import runpy, sys
from libs.detectors.components import component
from libs.detectors.registry import COMPONENTS
for name in [name for name, about in COMPONENTS.items() if not about.tensorflow]:
    component(name)
component("KNN")().fit([[0.0], [1.0], [2.0]]).save(sys.argv.pop())
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    out = tmp_path / "s.csv"
    words = ["score.py", house / "MeanDistance", house / "t.csv", "--out", out]
    command = [sys.executable, "-c", code, *map(str, words), str(tmp_path / "knn")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = expected(house, "MeanDistance")[:, 0]
    np.testing.assert_allclose(pd.read_csv(out)["score"], scores, rtol=1e-6)


def test_the_registry_says_who_needs_tensorflow():
    for name, about in COMPONENTS.items():
        kind = component(name)
        if issubclass(kind, Detector):
            assert about.tensorflow == issubclass(kind, NetworkDetector), name


@pytest.mark.parametrize("about", [None, [], {"class": ["KNN"]}, {"class": "Foreign"}])
def test_a_damaged_class_is_a_clear_error(tmp_path, about):
    write_manifest(tmp_path, {"detector": about})
    with pytest.raises(UserError):
        load_model(tmp_path)
