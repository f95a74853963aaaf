"""Tables of one's own: read in blocks, columns learned from training rows, rows encoded by name."""

import csv
import gzip
import io
import sys

import numpy as np
import polars as pl
import pytest

from libs.datasets.readers import delimited
from libs.datasets.splits.rows import cut
from libs.datasets.tabular import learning, reading
from libs.datasets.tabular.encoder import Encoder
from libs.datasets.tabular.learning import Learner
from libs.datasets.tabular.own import OwnTable
from libs.datasets.tabular.reading import Block, read
from libs.datasets.tabular.schema import Column, Schema
from libs.utils.errors import UserError

ROWS = [[f"{i / 4}", "ab"[i % 2], str(i % 3)] for i in range(20)]


def text(rows, header="x,t,u") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def learned(content: str, path, missing: str = "refuse") -> Schema:
    learner = Learner(content.count("\n"), missing)
    for block in read(write(path, content)):
        learner.add(block)
    return learner.schema()


def encoded(schema: Schema, path) -> np.ndarray:
    return np.concatenate([schema.encode(block) for block in read(path)])


def test_columns_are_told_apart(tmp_path):
    lines = ["n,const,words,id,when,gap,bool,many"]
    lines += [
        f"{i * 3},7,{'red' if i % 3 else ' green '},key{i},2024-01-{1 + i % 28:02},,"
        f"{'true' if i % 2 else 'false'},w{i % 150}"
        for i in range(300)
    ]
    schema = learned("\n".join(lines), tmp_path / "t.csv")
    assert schema.features == (
        *("n", "words=green", "words=red"),
        *("bool=false", "bool=true"),
    )
    why = {c.name: (c.kind, c.dropped) for c in schema.columns if c.dropped}
    assert why["const"] == ("number", "constant")
    assert why["id"] == ("text", "more than 100 different texts")
    assert why["when"][0] == "date"
    assert why["gap"][1] == "no values"
    assert why["many"][1] == "more than 100 different texts"
    assert Schema.from_json(schema.to_json()) == schema
    assert list(schema.shown()["column"]) == [c.name for c in schema.columns]
    few = learned(text([[str(i), f"key{i}", "1"] for i in range(20)]), tmp_path / "t.csv")
    assert few.features == ("x",)


def test_cells_become_numbers(tmp_path):
    """By hand; an unseen category is a row of zeros, columns may stand in any order."""
    schema = learned(text(ROWS), tmp_path / "train.csv")
    assert schema.features == ("x", "t=a", "t=b", "u")
    x = encoded(schema, write(tmp_path / "new.csv", 'u,x,t\n1, -2e1 ,"b"\n2,.5,c\n'))
    np.testing.assert_array_equal(x, np.float32([[-20, 0, 1, 1], [0.5, 0, 0, 2]]))
    assert x.dtype == np.float32


def test_missing_values(tmp_path):
    rows = [["1", "a", "1"], ["2", "b", ""], ["", "b", "3"], ["10", "", "NA"], ["0", "a", "0"]]
    path = tmp_path / "t.csv"
    with pytest.raises(UserError, match=r"t.csv, line 4, column 'x': a value is missing.* 1 train"):
        learned(text(rows), path)
    schema = learned(text(rows), path, "median")
    assert [c.fill for c in schema.columns] == [1.5, "a", 1.0]
    np.testing.assert_array_equal(
        encoded(schema, path),
        np.float32([[1, 1, 0, 1], [2, 0, 1, 1], [1.5, 0, 1, 3], [10, 1, 0, 1], [0, 1, 0, 0]]),
    )
    strict = learned(text(ROWS), tmp_path / "full.csv")
    with pytest.raises(UserError, match=r"line 4, column 'x': a value is missing \(1 in rows 1 to"):
        encoded(strict, path)


def test_medians_of_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "SAMPLE", 500)
    values = np.random.default_rng(0).normal(5, 1, 3000)
    schema = learned("x\n" + "\n".join(map(str, values)), tmp_path / "t.csv", "median")
    assert schema.columns[0].fill == pytest.approx(np.median(values), abs=0.2)
    rare = "\n".join(f"{i}," + ("", "1", "3")[(i == 7) + 2 * (i == 9)] for i in range(3000))
    assert learned("x,y\n" + rare, tmp_path / "t.csv", "median").columns[1].fill in (1, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("x,t,u\n", "holds no rows"),
        (text([*ROWS, ["1", "a"]]), "line 22: expected 3 columns, found 2"),
        (text([*ROWS, ["1", "a", "2", ""]]), "line 22: expected 3 columns, found 4"),
        (text([*ROWS, ["1e39", "a", "2"]]), "line 22, column 'x': expected a number of at most"),
        (text([*ROWS, ["inf", "a", "2"]]), "line 22, column 'x': expected a number of at most"),
        (text([*ROWS, ["1", "a", "two"]]), "line 22, column 'u': expected a number, found 'two'"),
        (text(ROWS, "x,t,x"), "'x' stands twice"),
        (text(ROWS, "x,,u"), "column 2 has no name"),
        (text(ROWS, "1.5,a,3"), "expected a header"),
        (text(ROWS).encode("utf-16"), "UTF-16"),
        (text(ROWS, "x,ü,u").encode("latin-1"), "expected CSV in UTF-8"),
        (text([*ROWS, ["1", "ü", "2"]]).encode("latin-1"), "line 22 is not in UTF-8"),
        (text(ROWS).replace(",", ";").replace(".", ","), "--decimal ,"),
        (gzip.compress(text(ROWS).encode(), mtime=0)[:-12], "truncated or damaged"),
        (b"PAR1" + b"\0" * 50, "cannot be read"),
        ("x\n" + "1\n" * 9, "no column is left"),
        ("x,t\n" + '1,"a\n' * 3, "t.csv, line 4: a quotation mark is never closed"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    write(tmp_path / "t.csv", content)
    with pytest.raises(UserError, match=message) as error:
        OwnTable.of([tmp_path / "t.csv"], None).load(0.2, 1)
    assert "t.csv" in str(error.value) or "column" in str(error.value)


def test_other_columns_than_in_training(tmp_path):
    schema = learned(text(ROWS), tmp_path / "t.csv")
    path = write(tmp_path / "new.csv", "x,u,v,w\n1,2,3,4\n")
    with pytest.raises(UserError, match=r"missing: t; extra: v, w"):
        encoded(schema, path)
    two = OwnTable.of([tmp_path / "t.csv", path], None)
    with pytest.raises(UserError, match="other columns than in the first file"):
        two.load(0.2, 1)


def test_no_such_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            next(read(path))
    with pytest.raises(UserError, match="no Parquet file"):
        next(read(write(tmp_path / "t.parquet", text(ROWS))))


CELLS = ["a", "a,b", 'say "hi"', "two\nlines", " blanks ", "ü", "a;b", "it's", "\t"]


@pytest.mark.parametrize("separator", reading.SEPARATORS)
@pytest.mark.parametrize("piece", [7, 64, 10_000])
def test_any_piece_of_a_file_gives_the_same_rows(tmp_path, monkeypatch, separator, piece):
    """Quoted separators, marks and line breaks; blank lines, both line ends, a byte-order mark."""
    monkeypatch.setattr(delimited, "PIECE", piece)
    monkeypatch.setattr(reading, "MOST_ROWS", 8)
    rows = [[str(i), CELLS[i % len(CELLS)]] for i in range(50)]
    sink = io.StringIO()
    csv.writer(sink, delimiter=separator).writerows([["n", "the text"], *rows])
    content = ("\ufeff" + sink.getvalue() + "\r\n\r\n").encode()
    path = write(tmp_path / "t.csv", content)
    blocks = list(read(path))
    assert [len(b) for b in blocks] == [8] * 6 + [2]
    assert [n for b in blocks for n in b.numbers] == list(range(1, 51))
    assert pl.concat([b.frame for b in blocks]).rows() == [tuple(row) for row in rows]
    write(tmp_path / "t.csv.gz", gzip.compress(content))
    zipped = list(read(tmp_path / "t.csv.gz"))
    assert [b.frame.rows() for b in zipped] == [b.frame.rows() for b in blocks]
    assert blocks[-1].read == len(content)


def test_a_quotation_mark_that_is_never_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "PIECE", 100)
    monkeypatch.setattr(delimited, "LONGEST", 1000)
    path = write(tmp_path / "t.csv", text(ROWS) + '1,"a,2\n' + text(ROWS) * 9)
    with pytest.raises(UserError, match="line 22: a quotation mark is never closed"):
        list(read(path))


def test_standard_input(monkeypatch):
    pipe = io.BufferedReader(io.BytesIO(gzip.compress(text(ROWS).encode())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    (block,) = read("-")
    assert block.frame.rows() == [tuple(row) for row in ROWS]
    assert block.place("x", 1) == "standard input, line 3, column 'x'"


def test_parquet_and_csv_are_the_same_table(tmp_path):
    frame = pl.DataFrame(
        {
            "x": [float(i) / 4 for i in range(20)],
            "t": ["ab"[i % 2] for i in range(20)],
            "u": [i % 3 for i in range(20)],
            "flag": [i % 4 == 0 for i in range(20)],
            "day": pl.Series([20_000 + i for i in range(20)], dtype=pl.Int32).cast(pl.Date),
            "kind": pl.Series(["b", "c"] * 10, dtype=pl.Categorical),
        }
    )
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet", row_group_size=7)
    tables = [OwnTable.of([tmp_path / f"t.{kind}"], None, label="u") for kind in ("csv", "parquet")]
    one, two = (table.load(0.2, 1) for table in tables)
    assert one.schema == two.schema
    assert one.features == ("x", "t=a", "t=b", "flag=false", "flag=true", "kind=b", "kind=c")
    np.testing.assert_array_equal(one.x[:], two.x[:])
    np.testing.assert_array_equal(one.classes, two.classes)
    assert set(one.classes) == {"0", "1", "2"}


def test_parquet_with_nested_columns(tmp_path):
    pl.DataFrame({"x": [1.0], "list": [[1, 2]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"'list' holds List"):
        list(read(tmp_path / "t.parquet"))


def test_columns_are_learned_without_test_rows(tmp_path):
    """Other test rows: the same schema. Other training rows: another one."""
    train, test = cut(np.arange(20), 0.2, 1, "test")

    def schema(changed: int) -> Schema:
        rows = [list(row) for row in ROWS]
        rows[changed] = ["1000", "new", "9"]
        table = OwnTable.of([write(tmp_path / "t.csv", text(rows))], None, missing="median")
        return table.load(0.2, 1).schema

    assert schema(test[0]) == schema(test[1])
    assert "t=new" not in schema(test[0]).features
    assert "t=new" in schema(train[0]).features


def test_test_file(tmp_path):
    train = write(tmp_path / "train.csv", text(ROWS))
    test = write(tmp_path / "test.csv", text([["1", "new", "0"]]))
    data = OwnTable.of([train, train], test, label="u").load(0.2, 1)
    assert len(data.x) == 40
    np.testing.assert_array_equal(data.x_test, np.float32([[1, 0, 0]]))
    assert list(data.classes_test) == ["0"]
    assert data.fingerprint != OwnTable.of([train, train], None).load(0.2, 1).fingerprint


def test_names_are_good_for_folders():
    names = {"/a/Flows 1.csv.gz": "csv-Flows_1", "x.parquet": "csv-x", "a/b.c/d": "csv-d"}
    assert {file: OwnTable((file,)).name for file in names} == names


def test_encoder(tmp_path):
    """Scaled as told, finite, and the same after saving and loading."""
    schema = Schema((Column("x", "number"), Column("t", "text", "", ("a", "b"))))
    encoder = Encoder(schema, np.float32([1, 0, 0]), np.float32([1e-30, 1, 1]))
    frame = pl.DataFrame({"x": ["1", "1e38", "-1e38"], "t": ["b", "b", "?"]})
    encoder.save(tmp_path)
    x = Encoder.load(tmp_path).rows(Block(frame, "here", range(1, 4)))
    largest = np.finfo(np.float32).max
    np.testing.assert_array_equal(x[:, 0], np.float32([0, largest, -largest]))
    np.testing.assert_array_equal(x, encoder.rows(Block(frame, "here", range(1, 4))))
    with pytest.raises(UserError, match=r"holds no inputs.json"):
        Encoder.load(tmp_path / "other")
    write(tmp_path / "inputs.json", "{}")
    with pytest.raises(UserError, match="damaged"):
        Encoder.load(tmp_path)
