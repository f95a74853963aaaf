"""Tables and pictures of data whose names look like markup; metrics as columns; damaged results."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from test_comparison import MAIN, PLAIN, TRANSFER, evaluate, write

from libs import Metrics
from libs.DataHandler import Experiment, Splits
from libs.experiments import result_files
from libs.experiments.settings import Conditions
from libs.experiments.stored_runs import Row
from libs.plotting.tables import Bold, TextTable, decimals
from libs.reporting import collection

STRANGE = [
    "$x^2$",
    "a|b",
    "<b>",
    "A_B",
    "[red]",
    "=1+1",
    "50 %",
    "\\c{d}",
    "two\nlines",
    "\x1b[31m",
]


@pytest.fixture
def table():
    rows = [[name, Bold(name), "1"] for name in STRANGE]
    return TextTable(["run", "score $a_1$", "n"], rows, "All of $these$, *each*", keys=1)


def test_markdown_is_text(table):
    """A renderer of Markdown shows the very text; bold is ours."""
    import html

    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    for name, line in zip(STRANGE, lines[2:], strict=True):
        cells = re.split(r"(?<!\\) ?\| ?", line)[1:-1]
        shown = [html.unescape(re.sub(r"\\([^a-z0-9\s])", r"\1", cell)) for cell in cells]
        plain = "".join(c if c.isprintable() else " " for c in name)
        assert [shown[0].strip(), shown[1].strip()] == [plain.strip(), f"**{plain}**".strip()]
        assert "$" not in line
        assert "<" not in line


def test_latex_is_text(table):
    text = table.latex()
    assert r"\$x\textasciicircum{}2\$ & \textbf{\$x\textasciicircum{}2\$} & 1" in text
    assert r"\textbackslash{}c\{d\}" in text
    assert "\n[" not in text  # the optional argument of the line's end before
    assert r"{[}red]" in text
    assert r"50 \%" in text


def test_html_is_text(table):
    text = table.html()
    assert "<td>&lt;b&gt;</td><td><b>&lt;b&gt;</b></td>" in text
    assert "\x1b" not in text


def test_the_terminal_shows_text(table, capsys):
    table.show()
    out = capsys.readouterr().out
    for name in STRANGE[:8]:
        assert out.count(name) == 2, name
    assert "\x1b[31m" not in out


def test_wide_tables_are_split(monkeypatch, capsys):
    columns = ["run", *(f"view {i}" for i in range(20))]
    table = TextTable(columns, [["A3-n100", *[".987±.002"] * 20]], "wide")
    parts = list(table.split(80))
    assert len(parts) == 3
    assert all(part.columns[0] == "run" for part in parts)
    assert [c for part in parts for c in part.columns[1:]] == columns[1:]
    monkeypatch.setenv("COLUMNS", "80")
    table.show()
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    assert Console().width == 80
    turned = table.transpose("of")
    assert turned.columns == ["of", "A3-n100"]
    assert len(turned.rows) == 20


def test_decimals():
    assert [decimals(v) for v in (0.98765, 1, 0, -0.25)] == [".988", "1.000", ".000", "-.250"]


def _split() -> Splits:
    names = ("$a$", "$b_{c$")
    classes = np.repeat(names, 30)
    x = np.zeros((60, 2), np.float32)
    y = np.zeros(60, np.int32)
    experiment = Experiment((names[0],), (), (names[1],))
    return Splits(experiment, x, y, classes, x, classes, x, classes, np.float32(0), np.float32(1))


def results(folder) -> pd.DataFrame:
    scores = np.random.default_rng(0).random(60).astype(np.float32)
    gate = pd.DataFrame([[0.5, 0.5]], pd.Index(["=1+1"], name="class"), ["$e$", "anomaly"])
    conditions = Conditions({"data_set": "csv-$x", "seed": 1}, "a3", _split().experiment)
    rows = [Row("A3", scores, gate=gate), Row("Broken", error="=cmd")]
    place = folder / "csv-$x/a3/1" / conditions.experiment.slug / "test"
    return result_files.write_results(place, _split(), "test", rows, conditions)["unknown"]


def test_dollars_in_class_names(tmp_path):
    """They are drawn as they stand, not read as mathematics, which failed for good."""
    results(tmp_path)
    (roc,) = tmp_path.rglob("unknown.roc.png")
    assert roc.read_bytes().startswith(b"\x89PNG")
    (gate,) = tmp_path.rglob("*.gate.csv")
    assert "\n'=1+1," in gate.read_text()  # no formula for a spreadsheet


def test_a_metric_is_one_entry(tmp_path, monkeypatch, capsys):
    """It appears in the metric files, the summary, the tables, the comparison and the page."""
    share = Metrics.Column(lambda y, scores: float(np.mean(scores[y == 1] > 0.5)), "max")
    monkeypatch.setitem(Metrics.COLUMNS, "above", share)
    table = results(tmp_path / "results")
    assert list(table.columns)[:3] == ["AUC", "AP", "above"]
    assert 0 < table.loc["A3", "above"] < 1
    assert evaluate(tmp_path, "--report --docs docs", monkeypatch) == 0
    assert "above" in capsys.readouterr().out
    assert "above_mean" in pd.read_csv(tmp_path / "results/summary.csv")
    for page in ("results/summary.md", "results/report/report.html", "docs/a3.md"):
        assert "unknown above" in (tmp_path / page).read_text(), page
    assert evaluate(tmp_path, "--metric_name above", monkeypatch) == 0
    assert "A3-above-mean" in (tmp_path / "results/comparison.csv").read_text()
    assert evaluate(tmp_path, "--metric_name beyond", monkeypatch) == 2
    assert "expected one of AUC, AP, above" in capsys.readouterr().err


def test_the_newest_results_are_shown(tmp_path, monkeypatch, capsys):
    """A line for each other experiment; --all shows all tables, --report writes no summary."""
    for i, name in enumerate(("covtype", "url")):
        write(tmp_path / "results", name, "a3", 1, MAIN, PLAIN)
        for path in (tmp_path / "results" / name).rglob("*.metric.csv"):
            os.utime(path, (i, i))
    assert evaluate(tmp_path, "--report", monkeypatch) == 0
    out = capsys.readouterr().out
    assert re.search(r"^url, protocol a3", out, re.M)
    assert not re.search(r"^covtype, protocol a3", out, re.M)
    assert re.search(r"^covtype, a3, \S+: \d runs; best \w+ AUC \.\d{3}, \w+$", out, re.M)
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"covtype", "url", "report"}
    assert (tmp_path / "results/report/report.html").is_file()
    assert evaluate(tmp_path, "--all", monkeypatch) == 0
    assert re.search(r"^covtype, protocol a3", capsys.readouterr().out, re.M)
    assert (tmp_path / "results/summary.csv").is_file()


def _damage(text: str) -> dict[str, str]:
    about, key = json.loads(text), "experiment"
    return {
        "nothing": "",
        "cut": text[: len(text) // 2],
        "a list": "[]",
        "a number": "1",
        "null": "null",
        "deep": "[" * 100_000,
        "no experiment": json.dumps({k: v for k, v in about.items() if k != key}),
        "classes missing": json.dumps(about | {key: None}),
        "roles unknown": json.dumps(about | {key: {"strange": ["a"]}}),
        "classes are numbers": json.dumps(
            about | {key: {"normal": [1], "known": [], "unknown": []}}
        ),
        "nothing normal": json.dumps(about | {key: {"normal": []}}),
        "overlapping": json.dumps(about | {key: {"normal": ["a"], "known": ["a"]}}),
        "pollution in words": json.dumps(about | {"p_contamination": "much"}),
        "pollution is null": json.dumps(about | {"p_contamination": None}),
    }


METRIC_DAMAGE = {
    "nothing": lambda text: "",
    "head only": lambda text: text.splitlines()[0],
    "cut": lambda text: text[: len(text) // 2],
    "binary": lambda text: "\x00\x01" * 100,
    "words": lambda text: re.sub(r"0\.\d+", "much", text),
    "no run": lambda text: text.replace("run", "name", 1),
    "a run twice": lambda text: text + text.splitlines()[-1] + "\n",
    "an unnamed run": lambda text: text.replace("Autoencoder", ""),
    "a row too long": lambda text: text + "1," * 50,
    "no seconds": lambda text: text.replace("seconds", "minutes"),
}


def _refused(house, monkeypatch, capsys, words="--report") -> None:
    """One message that names the folder, or tables without what is missing; never a traceback."""
    code = evaluate(house, words, monkeypatch)
    err = capsys.readouterr().err
    assert code == 0 or (code == 2 and err.startswith("error: ") and "results" in err), err


@pytest.fixture
def house(tmp_path):
    for seed in (1, 2):
        write(tmp_path / "results", "url", "a3", seed, TRANSFER, ["A3-n5", *PLAIN])
    return tmp_path


@pytest.mark.parametrize("kind", sorted(_damage("{}")))
def test_damaged_descriptions(kind, house, monkeypatch, capsys):
    path = next(house.glob("results/url/a3/1/*/test/experiment.json"))
    path.write_text(_damage(path.read_text())[kind])
    _refused(house, monkeypatch, capsys, "--docs docs")


@pytest.mark.parametrize("kind", METRIC_DAMAGE)
@pytest.mark.slow
def test_damaged_metrics(kind, house, monkeypatch, capsys):
    path = next(house.glob("results/url/a3/1/*/test/known.metric.csv"))
    path.write_text(METRIC_DAMAGE[kind](path.read_text()))
    _refused(house, monkeypatch, capsys, "--docs docs")


def test_other_damage(house, monkeypatch, capsys):
    folder = next(house.glob("results/url/a3/1/*/test"))
    text = (folder / "known.metric.csv").read_text()
    for name in ("strange.metric.csv", "known.thresholds.csv"):
        (folder / name).write_text(text)
        _refused(house, monkeypatch, capsys, "--docs docs")
        (folder / name).unlink()
    (folder / "known.metric.csv").unlink()
    (folder / "known.metric.csv").mkdir()
    _refused(house, monkeypatch, capsys)
    (house / "results/all_results").mkdir()
    rescored = pd.read_csv(folder / "transfer.metric.csv").assign(view="known", protocol="a3")
    rescored = rescored.assign(data_set="url", experiment="e")
    texts = {
        "F1 in words": rescored.assign(**{"F1@0.01": "much"}).to_csv(index=False),
        "whole": rescored.assign(**{"F1@0.01": 0.5}).to_csv(index=False),
    }
    for damaged in ("", "a,b\n1,2\n", "AUC,jointly,view\nx,1,known\n", *texts.values()):
        (house / "results/all_results/all_results_1.csv").write_text(damaged)
        _refused(house, monkeypatch, capsys, "--subfolder all_results")
    assert "F1@0.01_mean" in (house / "results/all_results/summary.csv").read_text()
    (house / "results/authors.csv").write_text("damaged")
    (folder / "known.metric.csv").rmdir()
    _refused(house, monkeypatch, capsys, "--docs docs")


@pytest.mark.slow
def test_places_come_from_folders(house, monkeypatch, tmp_path):
    """What a description calls its data set is no place to write to."""
    for path in house.glob("results/url/a3/*/*/test/experiment.json"):
        about = json.loads(path.read_text())
        about["data"]["data_set"] = about["protocol"] = "../../../evil"
        path.write_text(json.dumps(about))
    write(house / "results", "url", "a3", 1, MAIN, ["A3-n5", "A3-n25"])
    before = {p for p in house.rglob("*") if p.is_file()}
    assert evaluate(house, "--report --docs docs --out_path out/in", monkeypatch) == 0
    written = {p.relative_to(house).parts[0] for p in house.rglob("*") if p.is_file()} - {"results"}
    assert written == {"out", "docs"}
    assert before <= {p for p in house.rglob("*") if p.is_file()}
    assert set(collection.collect(house / "results", "test", ())["data_set"]) == {"url"}


def test_a_folder_without_results_is_an_error(house, monkeypatch, capsys):
    (house / "other").mkdir()
    assert evaluate(house, "--model_path other", monkeypatch) == 2
    assert "no test results in --model_path other" in capsys.readouterr().err
    assert evaluate(house, "--model_path results --in_path other", monkeypatch) == 0
    (house / "models").mkdir()  # printed in the papers; says what it reads instead
    assert evaluate(house, "--model_path ./models", monkeypatch) == 0
    assert "these are of results" in capsys.readouterr().out


@pytest.mark.slow
def test_their_runs_are_counted(house, monkeypatch):
    """Beside the authors' figures stand the number of their runs and what their starts change."""
    line = "url,a3,1,{},a_known_b_unknown_c,unknown,A3-n5,{},{},authors"
    head = "data_set,protocol,seed,start,experiment,view,run,AUC,AP,source"
    lines = [head, line.format(1, 0.894, 0.541), line.format(2, 0.806, 0.435)]
    (house / "results/authors.csv").write_text("\n".join(lines))
    assert evaluate(house, "--docs docs", monkeypatch) == 0
    page = (house / "docs/a3.md").read_text()
    assert "2 of its runs, seeds 1" in page
    assert ".850±.062 (2)" in page
    assert "- unknown: AUC .894 and .806, AP .541 and .435" in page
