"""Methods over data sets: the papers' command lines, p values, what is left out, the report."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from libs.reporting import collection, comparison, rendering
from libs.reporting import page as report
from libs.reporting.comparison import Choice, build_comparisons, select_rows
from libs.utils.errors import UserError

ROOT = Path(__file__).parent.parent
SETS = "covtype creditcard darknet doh fashion_mnist ids mammography mnist nslkdd url".split()
SEEDS = {"r2ad2": (110, 210, 310), "argue": (110, 210, 310)}
LEVELS = {"R2AD2": 0.9, "R2AD2-1": 0.8, "R2AD2-2": 0.85, "R2AD2-4": 0.88, "DevNet": 0.86}
LEVELS |= {"Autoencoder": 0.7, "IsolationForest": 0.72, "ARGUE": 0.85, "A4RGUE": 0.84, "A3": 0.8}
COMMANDS = """
110 210 310 410 510 --p_pollution 0.0 --n_anomalies 100 --p_name wilcoxon --show_stddev 1
110 210 310 410 510 --p_pollution 0.0 --n_anomalies 100 --p_name friedman
110 210 310 410 510 --p_pollution 0.0 --n_anomalies 5 100 --p_name nemenyi --metric_name AP
110 210 310 410 510 --p_pollution 0.0 0.1 --n_anomalies 100 --mean_only 1
110 210 310 410 510 --exp_name kdd --metric_name AUC
110 210 310 410 510 --exp_name doh --metric_name AUC --n_anomalies 100 --mean_only 1 --transpose 0
110 210 310 410 510 --p_pollution 0.0 --n_anomalies 100 --is_transfer 1 --mean_only 2
110 210 310 410 510 --p_pollution 0.0 --n_anomalies 100 --is_ablation 1 --transpose 1
110 210 310 410 510 610 710 --p_pollution 0.01 --n_anomalies 0 --model_path ./models
110 210 310 410 510 610 710 --p_pollution 0.0 --n_anomalies 100 --show_stddev 1 --transpose 0
110 210 310 410 510 610 710 --p_pollution 0.01 --n_anomalies 0 --first_experiment 1
"""


def write(
    folder: Path,
    data_set: str,
    protocol: str,
    seed: int,
    classes: dict,
    runs: list[str],
    pollution: float = 0.0,
) -> None:
    """Result files of one experiment; each run's numbers derive from its name and its place."""
    name = "+".join(classes["normal"])
    for role in ("known", "unknown"):
        name += f"_{role}_{'+'.join(classes[role])}" if classes[role] else ""
    share = f"-p{pollution:g}" if pollution else ""
    place = folder / data_set / protocol / str(seed) / f"{name}{share}" / "test"
    place.mkdir(parents=True)
    about = {"data": {"data_set": data_set, "seed": seed}, "protocol": protocol}
    about |= {"experiment": classes, "p_contamination": pollution}
    (place / "experiment.json").write_text(json.dumps(about))
    views = ["known", "transfer", "unknown"] if classes["unknown"] else ["known"]
    for view in views:
        rows = []
        for run in runs:
            words = "/".join([data_set, protocol, str(seed), run, view, share])
            noise = np.random.default_rng(list(words.encode())).normal(0, 0.02, 2)
            level = LEVELS[run.split("-n")[0]] - 0.1 * (view == "unknown")
            rows.append({"run": run, "AUC": level + noise[0], "AP": level - 0.2 + noise[1]})
        trained = {"prevalence": 0.2, "rows": 1000, "epochs": 3, "updates": 9, "seconds": 1.5}
        table = pd.DataFrame(rows).assign(**trained, jointly=1, status="ok", error="")
        table.to_csv(place / f"{view}.metric.csv", index=False)


def budgets(runs: str, *known: int) -> list[str]:
    return [f"{run}-n{n}" for run in runs.split() for n in known]


MAIN = {"normal": ["a"], "known": ["b", "c"], "unknown": []}
TRANSFER = {"normal": ["a"], "known": ["b"], "unknown": ["c"]}
PLAIN = ["Autoencoder", "IsolationForest"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Results of R2-AD2's and ARGUE's experiments, no network trained."""
    house = tmp_path_factory.mktemp("house")
    (house / "models").mkdir()
    results = house / "results"
    ablation = budgets("R2AD2-1 R2AD2-2 R2AD2-4", 100)
    for data_set in SETS:
        for seed in SEEDS["r2ad2"]:
            place = (results, data_set, "r2ad2", seed)
            write(*place, MAIN, budgets("R2AD2 DevNet", 5, 100) + ablation + PLAIN)
            write(*place, TRANSFER, budgets("R2AD2 DevNet", 100) + PLAIN)
            write(*place, MAIN, budgets("R2AD2 DevNet", 100) + PLAIN, pollution=0.1)
    for data_set in ("covtype", "census", "emnist", "mnist"):
        for seed in SEEDS["argue"]:
            place = (results, data_set, "argue", seed)
            write(*place, MAIN, budgets("ARGUE A4RGUE", 0) + PLAIN, pollution=0.01)
            write(*place, MAIN, budgets("ARGUE A4RGUE DevNet", 100) + PLAIN)
    for n in range(1, 9):
        letters = {"normal": list("ABCDEFGH")[:n], "known": ["N", "O"], "unknown": []}
        for seed in SEEDS["argue"]:
            place = (results, "emnist", "argue", seed, letters)
            write(*place, budgets("ARGUE", 0) + PLAIN, pollution=0.01)
    return house


def evaluate(house: Path, words: str, monkeypatch) -> int:
    """Run evaluate_results.py as a command."""
    monkeypatch.chdir(house)
    monkeypatch.setattr(sys, "argv", ["evaluate_results.py", *words.split()])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "evaluate_results.py"), run_name="__main__")
    return end.value.code


@pytest.mark.parametrize("words", COMMANDS.strip().splitlines())
@pytest.mark.slow
def test_printed_commands(words, house, monkeypatch, capsys, tmp_path):
    assert evaluate(house, f"{words} --out_path {tmp_path}", monkeypatch) == 0
    out = capsys.readouterr().out
    markdown = (tmp_path / "comparison.md").read_text()
    assert "nan" not in out + markdown
    assert r"\begin{tabular}" in (tmp_path / "comparison.tex").read_text()
    table = pd.read_csv(tmp_path / "comparison.csv")
    head = next(line for line in markdown.splitlines() if line.startswith("| "))
    assert ("method" in head) == ("--transpose 0" in words)
    one_set = "kdd" in words or "first" in words
    means = re.search(r"\| ([\d.]+ / )?mean \|", markdown)
    assert bool(means) == ("mean_only 2" not in words and not one_set)
    assert ("±." in markdown) == ("show_stddev" in words)
    assert ("R2AD2-3" in out) == ("R2AD2-1" in out) == ("ablation" in words)
    if "first" in words:
        assert "| A-H |" in markdown
        assert list((tmp_path / "pictures").glob("emnist.argue.*.series.svg"))
        assert table["setup"].str.len().is_monotonic_increasing  # A, A+B, ...
    if "kdd" in words:
        assert set(table["data_set"]) == {"nslkdd"}
        names = [p.name.split(".", 3)[-1] for p in (tmp_path / "pictures").glob("*.png")]
        assert sorted(names) == ["budgets.png", "pollutions.png"]
    if "transfer" in words:
        assert set(table["setup"]) == {"a_known_b_unknown_c"}
    if "mean_only 1" in words:
        assert "covtype" not in markdown.split("- r2ad2")[0]


@pytest.mark.slow
def test_p_values_are_scipys(house, monkeypatch, tmp_path, capsys):
    """From the result files by hand: seeds' means of each data set, then scipy."""
    words = f"--protocol r2ad2 --p_pollution 0 --n_anomalies 100 --out_path {tmp_path}"
    assert evaluate(house, f"{words} --p_name wilcoxon", monkeypatch) == 0
    means = {}
    for path in house.glob("results/*/r2ad2/*/a_known_b+c/test/known.metric.csv"):
        table = pd.read_csv(path, index_col="run")["AUC"]
        means.setdefault(path.parts[-6], []).append(table)
    means = pd.DataFrame({name: pd.concat(t, axis=1).mean(axis=1) for name, t in means.items()}).T
    pairs = pd.read_csv(tmp_path / "comparison.pairs.csv").query("metric == 'AUC'")
    assert set(pairs["other"]) == {"Autoencoder", "DevNet", "IsolationForest"}
    for _, pair in pairs.iterrows():
        other = pair["other"] + ("-n100" if pair["other"] == "DevNet" else "")
        gaps = means["R2AD2-n100"] - means[other]
        assert pair["p"] == pytest.approx(stats.wilcoxon(gaps).pvalue)
        assert pair["low"] < pair["difference"] < pair["high"]
        assert pair["in_words"] == "R2AD2 is better"
    printed = capsys.readouterr().out
    assert "over 10 data sets" in printed
    assert "not all methods are alike" in printed


def collected(house: Path, **choice):
    """The comparisons of the rows in a folder; and what was left out."""
    rows, remarks = select_rows(collection.collect(house, "test", ()), Choice(**choice))
    return list(build_comparisons(rows, Choice(**choice))), remarks


def test_experiments_are_numbered_in_the_order_of_their_rows(tmp_path):
    for n in (1, 2, 3):
        classes = {"normal": list("abc")[:n], "known": ["d"], "unknown": []}
        write(tmp_path, "mnist", "argue", 110, classes, PLAIN)
    found = collected(tmp_path)[0][0]
    names = rendering.place_names([found])
    assert [names[place] for place in found.cells.index] == ["mnist (1)", "mnist (2)", "mnist (3)"]


def test_missing_cells_are_left_out_and_said(tmp_path):
    """A data set without one method; a method that most lack; none is filled in."""
    for i, data_set in enumerate(SETS[:7]):
        for seed in (1, 2):
            runs = budgets("R2AD2" if i == 3 else "R2AD2 DevNet", 100) + PLAIN[: 1 + (i < 2)]
            write(tmp_path, data_set, "r2ad2", seed, MAIN, runs)
    (found,), _ = collected(tmp_path, metrics=("AUC",))
    assert set(found.table) == {"R2AD2", "DevNet", "Autoencoder"}
    assert set(found.table.index) == set(SETS[:7]) - {"doh"}
    said = "\n".join(found.remarks())
    assert "Not in mean, ranks and tests: doh, which lacks DevNet." in said
    assert "most data sets lack them: IsolationForest (2) of 7 data sets" in said
    (all_of_it,), _ = collected(tmp_path, metrics=("AUC",), methods=("R2AD2", "IsolationForest"))
    assert list(all_of_it.table.index) == SETS[:2]


def test_a_data_set_counts_once(tmp_path):
    """Experiments of one data set are no blocks of their own; a missing one is a missing cell."""
    for data_set in ("ids", "nslkdd"):
        for seed in (1, 2):
            write(tmp_path, data_set, "a3", seed, TRANSFER, ["R2AD2-n5", "DevNet-n5"])
    other = TRANSFER | {"known": ["c"], "unknown": ["b"]}
    write(tmp_path, "nslkdd", "a3", 1, other, ["R2AD2-n5"])
    (found,), _ = collected(tmp_path, metrics=("AUC",), methods=("R2AD2", "DevNet"))
    assert list(found.means.index) == ["ids", "nslkdd"]
    one, two = found.cells["mean"]["R2AD2"].loc["nslkdd"]
    assert found.means.loc["nslkdd", "R2AD2"] == pytest.approx((one + two) / 2)
    assert pd.isna(found.means.loc["nslkdd", "DevNet"])
    assert list(found.table.index) == ["ids"]


def test_a_sample_does_not_count_beside_the_data(tmp_path):
    for data_set in ("ids", "ids-sample", "ids+day", "url"):
        write(tmp_path, data_set, "argue", 1, MAIN, budgets("ARGUE", 100) + PLAIN)
    (found,), remarks = collected(tmp_path, metrics=("AUC",))
    assert list(found.table.index) == ["ids", "url"]
    assert len(remarks) == 2
    assert "argue: ids-sample is left out, because ids is there too." in remarks


def test_means_over_two_precisions_are_said(tmp_path):
    for seed, precision in ((1, "float32"), (2, "bfloat16")):
        write(tmp_path, "url", "argue", seed, MAIN, budgets("ARGUE", 100) + PLAIN)
        for path in tmp_path.glob(f"url/argue/{seed}/*/test/*.metric.csv"):
            table = pd.read_csv(path)
            table["precision"] = np.where(table["run"] == "ARGUE-n100", precision, "float32")
            table.to_csv(path, index=False)
    (found,), _ = collected(tmp_path, metrics=("AUC",))
    said = [line for line in found.remarks() if "precision" in line]
    assert said == [
        "ARGUE on url: means over seeds trained in several precisions (bfloat16, float32)."
    ]


def test_pairs_over_seeds(tmp_path):
    """Only seeds that both have are compared; with five, p is .0625 at best."""
    for seed in range(5):
        runs = budgets("ARGUE", 100) + PLAIN[: 2 if seed else 1]
        write(tmp_path, "url", "argue", seed, MAIN, runs)
    (found,), _ = collected(tmp_path, metrics=("AUC",))
    pairs = found.pairs_over_seeds("url", "a_known_b+c")
    assert pairs.loc["Autoencoder", "p"] == 0.0625
    assert pairs.loc["IsolationForest", "p"] == 0.125
    assert pairs.loc["IsolationForest", "wins"] == 4


def test_intervals_take_seeds_in_pairs(tmp_path):
    """A difference that is the same for every seed has an interval of no width."""
    write(tmp_path, "url", "argue", 1, MAIN, budgets("ARGUE", 100) + PLAIN)
    rows = collection.collect(tmp_path, "test", ())
    moved = [
        rows.assign(seed=s, AUC=rows["AUC"] + s / 100, data_set=d) for s in (1, 2, 3) for d in "de"
    ]
    found, _ = select_rows(pd.concat(moved), Choice())
    one = next(build_comparisons(found, Choice()))
    pairs = one.pairs("wilcoxon")
    np.testing.assert_allclose(pairs["low"], pairs["difference"])
    np.testing.assert_allclose(pairs["high"], pairs["difference"])
    ranks = one.ranks()
    assert (ranks["low"] < ranks["mean"]).all()
    assert (ranks["mean"] < ranks["high"]).all()


@pytest.mark.slow
def test_nothing_left(house, monkeypatch, capsys, tmp_path):
    assert evaluate(house, "--n_anomalies 7 --methods DevNet", monkeypatch) == 2
    assert "no results are left by these options" in capsys.readouterr().err
    for words in (
        "--n_anomalies 5 --report",
        "--subfolder s --report",
        "--subfolder s --mean_only 1",
    ):
        assert evaluate(house, words, monkeypatch) == 2
        assert "start the script twice" in capsys.readouterr().err
    with pytest.raises(UserError, match="no results are left"):
        select_rows(collection.collect(house / "results", "test", ()), Choice(protocol="a3"))


@pytest.mark.slow
def test_the_report(house, tmp_path):
    """The same bytes again; needs no web; says what it must; diagrams where data sets suffice."""
    rows = collection.collect(house / "results", "test", ())
    few = (rows["pollution"] == 0) & ~rows["run"].str.endswith("-n5")  # drawing takes time
    few &= (rows["setup"] == "a_known_b+c") & (rows["view"] == "known")
    few |= (rows["protocol"] == "argue") & (rows["normal"].str.len() < 6)  # A, A+B, A+B+C
    rows = rows[(rows["data_set"] == "mnist") | few]
    pictures = tmp_path / "b/pictures"
    pictures.mkdir(parents=True)
    (tmp_path / "b/outside.png").write_text("")
    for name in ("mnist.a3.gone.budgets.png", "notes.txt", "mine.png", "mine.svg"):
        (pictures / name).write_text("")
    listed = ["mnist.a3.gone.budgets.png", "gone.too.svg", "../outside.png"]
    (pictures / "report.json").write_text(json.dumps(listed))
    page = report.write_report(rows, tmp_path / "a").read_text()
    assert page == report.write_report(rows, tmp_path / "b").read_text()
    names = {p.name for folder in "ab" for p in (tmp_path / folder / "pictures").iterdir()}
    drawn = {p.name for p in (tmp_path / "a/pictures").iterdir()}
    assert names == drawn | {"notes.txt", "mine.png", "mine.svg"}  # what it did not write stays
    assert (tmp_path / "b/outside.png").is_file()
    assert set(json.loads((pictures / "report.json").read_text())) == drawn - {"report.json"}
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    assert "<script" not in page
    assert page.count("<svg") == len(list((tmp_path / "a/pictures").glob("*.svg")))
    diagrams = [p.name for p in (tmp_path / "a/pictures").glob("*.ranks.svg")]
    assert "r2ad2.main.n100.p0.AUC.ranks.svg" in diagrams
    assert not [name for name in diagrams if name.startswith("argue")]
    assert not list((tmp_path / "a/pictures").glob("mnist.argue.*.pollutions.svg"))  # two settings
    assert "4 data sets are too few" in page
    assert "With 3 seeds the smallest p is .25" in page
    for name in ("mnist.r2ad2.a_known_b+c.budgets", "mnist.r2ad2.a_known_b+c.pollutions"):
        assert (tmp_path / "a/pictures" / f"{name}.png").stat().st_size > 10_000
    numbers = re.findall(r"<text[^>]*>([\d.]+)</text>", page)
    assert any(re.fullmatch(r"0\.\d\d+", number) for number in numbers)  # ticks are not rounded


@pytest.mark.slow
def test_own_methods_come_first(house):
    found, _ = collected(house / "results")
    for one in found:
        assert one.cells["mean"].columns[0] == comparison.own_methods(one.setting.protocol)[0]
