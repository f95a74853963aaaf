"""Dates as inputs: how they are read, what they give, and that earlier models still load."""

import numpy as np
import polars as pl
import pytest
from test_tabular import encoded, learned, write

from libs.datasets.tabular.dates import read_dates
from libs.datasets.tabular.schema import Schema
from libs.utils.errors import UserError


def days(*texts: str, month_first: bool = False) -> list[float | None]:
    return read_dates(pl.Series(texts), month_first).to_list()


def test_dates_of_several_countries():
    assert days("1970-01-02", "1970/1/3", "5.1.1970", "05-01-1970") == [1, 2, 4, 4]
    assert days("1/5/1970", month_first=True) == days("5/1/1970") == [4]
    times = days(
        "1970-01-01 06:00", "1970-01-01T06:00:00Z", "1.1.1970 18:30:00.5", "1/1/1970 6:30 PM"
    )
    np.testing.assert_allclose(times, [6 / 24, 6 / 24, 18.5 / 24, 18.5 / 24])
    noon = days("1970-01-01 12:15 a.m.", "1970-01-01 12:15 PM")
    np.testing.assert_allclose(noon, [0.25 / 24, 12.25 / 24])
    assert days("2024-02-30", "1970-01-01 25:00", "x", "13/13/1970") == [None] * 4


def table(cells: list[str]) -> str:
    return "x,when\n" + "\n".join(f"{i},{cell}" for i, cell in enumerate(cells)) + "\n"


def test_hour_weekday_and_age(tmp_path):
    """By hand; ages count back from the newest training date and do not fall below 0."""
    cells = ["2024-01-01 06:30", "2024-01-02 00:00", "2024-01-09 12:00"]
    schema = learned(table(cells), tmp_path / "t.csv")
    assert schema.features == ("x", "when hour", "when weekday", "when age")
    x = encoded(schema, tmp_path / "t.csv")
    np.testing.assert_allclose(x[:, 1:], [[6.5, 0, 8 + 5.5 / 24], [0, 1, 7.5], [12, 1, 0]])
    assert Schema.from_json(schema.to_json()) == schema
    assert "hour, weekday, age (age: days before 2024-01-09)" in schema.summarise()["use"][1]
    later = encoded(schema, write(tmp_path / "new.csv", table(["2030-01-01 01:00"])))
    np.testing.assert_array_equal(later[0, 1:], [1, 1, 0])
    with pytest.raises(UserError, match="line 2, column 'when': expected a date, found 'soon'"):
        encoded(schema, write(tmp_path / "new.csv", table(["soon"])))
    with pytest.raises(UserError, match="a value is missing"):
        encoded(schema, write(tmp_path / "new.csv", table([""])))


def test_what_does_not_differ_is_no_feature(tmp_path):
    schema = learned(table(["2024-01-01", "2024-01-08", "2024-01-15"]), tmp_path / "t.csv")
    assert schema.features == ("x", "when age")
    same = learned(table(["2024-01-01"] * 3), tmp_path / "t.csv")
    assert same.columns[1].dropped == "constant"


@pytest.mark.parametrize(
    ("cells", "first"), [(["1/2/2024", "3/4/2024"], 31), (["1/2/2024", "3/14/2024"], 1)]
)
def test_day_before_month_unless_a_row_forbids_it(tmp_path, cells, first):
    schema = learned(table(cells), tmp_path / "t.csv")
    age = encoded(schema, tmp_path / "t.csv")[0, -1]
    gap = {31: np.datetime64("2024-04-03") - np.datetime64("2024-02-01")}
    gap[1] = np.datetime64("2024-03-14") - np.datetime64("2024-01-02")
    assert age == gap[first].astype(int)


def test_gaps(tmp_path):
    """Dropped with a word, or filled with the median if gaps are."""
    cells = ["2024-01-01", "NA", "2024-01-03", "2024-01-09", ""]
    dropped = learned(table(cells), tmp_path / "t.csv")
    assert dropped.features == ("x",)
    assert "--missing median" in dropped.columns[1].dropped
    schema = learned(table(cells), tmp_path / "t.csv", "median")
    np.testing.assert_array_equal(encoded(schema, tmp_path / "t.csv")[:, -1], [8, 6, 6, 0, 6])
    assert "missing: 2024-01-03" in schema.summarise()["use"][1]
    wrong = learned(table(["31.12.2024", "12.31.2024"] * 3), tmp_path / "t.csv")
    assert "calendar" in wrong.columns[1].dropped


def test_models_of_before_still_load():
    """Their columns of dates are no inputs."""
    about = [
        {"name": "x", "kind": "number", "dropped": "", "categories": [], "fill": None},
        {"name": "when", "kind": "date", "dropped": "dates", "categories": [], "fill": None},
    ]
    assert Schema.from_json(about).features == ("x",)
