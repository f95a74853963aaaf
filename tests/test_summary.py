"""Aggregation over seeds on a table that one can check by hand."""

import numpy as np
import pandas as pd
import pytest

from libs import Metrics
from libs.experiments import averages
from libs.experiments.result_files import natural
from libs.plotting.tables import Bold


@pytest.fixture
def rows():
    common = {"data_set": "toy", "protocol": "a3", "experiment": "e", "prevalence": 0.25}
    common |= {"rows": 100, "epochs": 2, "updates": 8, "seconds": 1.5, "jointly": 2}
    values = [
        ("A3-n5", "known", 1, 0.9, 0.5),
        ("A3-n5", "known", 2, 0.7, 0.7),
        ("A3-n25", "known", 1, 0.85, 0.8),
        ("A3-n25", "known", 2, 0.85, 0.8),
        ("Broken", "known", 1, None, None),
        ("A3-n5", "unknown", 1, 0.4, 0.3),
    ]
    keys = ("run", "view", "seed", "AUC", "AP")
    return pd.DataFrame([dict(zip(keys, v, strict=True)) | common for v in values])


def test_mean_std_count(rows):
    table = averages.over_seeds(rows).set_index(["view", "run"])
    five = table.loc["known", "A3-n5"]
    assert five["AUC_mean"] == pytest.approx(0.8)
    assert five["AUC_std"] == pytest.approx(0.02**0.5)
    assert five["AUC_count"] == 2
    assert pd.isna(table.loc[("unknown", "A3-n5"), "AUC_std"])
    assert table.loc[("known", "Broken"), "AUC_count"] == 0


def test_the_best_is_marked(rows):
    table = averages.score_table(averages.over_seeds(rows))
    shown = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(shown) == ["A3-n5", "A3-n25", "Broken"]
    assert shown["A3-n25"]["known AUC"] == ".850±.000"
    assert shown["A3-n5"]["known AUC"] == ".800±.141"
    assert shown["A3-n5"]["unknown AUC"] == ".400"
    assert shown["Broken"]["known AUC"] == shown["A3-n25"]["unknown AUC"] == "–"
    assert shown["A3-n5"]["seconds"] == "1.5/2"
    bold = {(row[0], c) for row in table.rows for c in row if isinstance(c, Bold)}
    assert ("A3-n25", ".850±.000") in bold
    assert ("A3-n5", ".400") in bold
    assert ("A3-n5", ".800±.141") not in bold


def test_the_best_method_stands_first(rows):
    """Its budgets stay together; what failed is last. In one line, the best run."""
    other = rows.iloc[:1].assign(run="ZForest", AUC=0.99)
    table = averages.best_first(averages.over_seeds(pd.concat([rows, other])))
    assert list(dict.fromkeys(table["run"])) == ["ZForest", "A3-n5", "A3-n25", "Broken"]
    assert list(dict.fromkeys(table["view"])) == ["known", "unknown"]
    line = averages.in_one_line(table)
    assert line == "toy, a3, e: 4 runs; best known AUC .990, ZForest"


def test_low_values_may_be_the_best(rows, monkeypatch):
    monkeypatch.setitem(Metrics.COLUMNS, "AUC", Metrics.Column(Metrics.area_under_roc, "min"))
    table = averages.score_table(averages.over_seeds(rows))
    assert {row[0] for row in table.rows if isinstance(row[2], Bold)} == {"A3-n5"}


def test_caption_explains_shared_seconds_where_there_are_any(rows):
    note = "one training served four budgets"
    assert note in averages.caption(averages.over_seeds(rows))
    assert note not in averages.caption(averages.over_seeds(rows.assign(jointly=1.0)))


def test_latex(rows):
    table = averages.over_seeds(rows.assign(data_set="a_b"))
    text = averages.score_table(table).latex()
    assert r"a\_b" in text
    assert r"\textbf{.850$\pm$.000}" in text
    assert text.count(r"\\") == 4


def test_natural_order():
    names = ["A3-vae-n0", "A3-n100", "A3-n5", "DAGMM"]
    assert sorted(names, key=natural) == ["A3-n5", "A3-n100", "A3-vae-n0", "DAGMM"]


def test_two_precisions_are_never_averaged(rows):
    """A failed run has none, and belongs to the others."""
    rows["status"] = np.where(rows["AUC"].isna(), "error", "ok")
    rows["precision"] = ["float32", "bfloat16", "float32", None, None, "float32"]
    rows.loc[3, "status"] = "error"
    table = averages.over_seeds(rows)
    counts = table[table["view"] == "known"].set_index("run")["AUC_count"]
    expected = {"A3-n25": 2, "A3-n5 (bfloat16)": 1, "A3-n5 (float32)": 1, "Broken": 0}
    assert counts.to_dict() == expected
    words = averages.caption(table)
    assert words.endswith("; trained in bfloat16: A3-n5 (bfloat16)")
    averages.score_table(table).latex()
    same = averages.over_seeds(rows.assign(precision="float32"))
    assert "trained in" not in averages.caption(same)
    assert len(averages.over_seeds(rows.assign(precision=None))) == 4  # of earlier files
