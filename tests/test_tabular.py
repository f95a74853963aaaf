"""Tables of one's own: read in blocks, columns learned from training rows, rows encoded by name."""

import csv
import gzip
import io
import json
import sys

import numpy as np
import polars as pl
import pytest

from libs.datasets.readers import delimited
from libs.datasets.splits.rows import cut_rows
from libs.datasets.tabular import learning, reading
from libs.datasets.tabular.cells import Notation, as_numbers, way_out
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
        *("n", "words=green", "words=red", "when weekday", "when age"),
        *("bool=false", "bool=true"),
    )
    why = {c.name: (c.kind, c.dropped) for c in schema.columns if c.dropped}
    assert why["const"] == ("number", "constant")
    assert why["id"] == ("text", "more than 100 different texts")
    assert why["gap"][1] == "no values"
    assert why["many"][1] == "more than 100 different texts"
    assert Schema.from_json(schema.to_json()) == schema
    assert list(schema.summarise()["column"]) == [c.name for c in schema.columns]
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
        (text(ROWS, "x,t,x"), "'x' appears twice"),
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
    dates = ("day weekday", "day age")
    assert one.features == (
        "x",
        "t=a",
        "t=b",
        "flag=false",
        "flag=true",
        *dates,
        "kind=b",
        "kind=c",
    )
    np.testing.assert_array_equal(one.x[:], two.x[:])
    np.testing.assert_array_equal(one.classes, two.classes)
    assert set(one.classes) == {"0", "1", "2"}


def test_parquet_with_nested_columns(tmp_path):
    """They are no inputs; where they were dropped, they stand beside scores as text."""
    columns = {"x": [1.0, 2.0], "list": [[1, 2], None], "bytes": [b"\xff", None]}
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"'list' holds List"):
        list(read(tmp_path / "t.parquet"))
    table = OwnTable.of([tmp_path / "t.parquet"], None, drop=("list", "bytes"))
    beside = table.check().beside
    found = table.find_rows(np.arange(2), "test", beside).select(beside)
    assert found.rows() == [("[1, 2]", r"b'\xff'"), ("", "")]


def test_columns_are_learned_without_test_rows(tmp_path):
    """Other test rows: the same schema. Other training rows: another one."""
    train, test = cut_rows(np.arange(20), 0.2, 1, "test")

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


# --- numbers in other notations, and all problems together ---------------------------------------
GERMAN = "id;Betrag;Land\n" + "\n".join(
    f"k{i};{'-' if i % 9 == 0 else (f'{i},25', f'{i}.234,51')[i % 2]};{('DE', 'FR')[i % 2]}"
    for i in range(1, 41)
)


def test_numbers_in_another_notation_are_never_dropped(tmp_path):
    """They are an error that shows three of them and the way out; the way out works."""
    path = write(tmp_path / "t.csv", GERMAN)
    with pytest.raises(UserError, match=r"'1\.234,51', '2,25', '-'.*--decimal , --thousands") as e:
        OwnTable.of([path], None).check()
    assert "--missing_values -" in str(e.value)
    assert "--text Betrag" in str(e.value)
    options = {"notation": Notation(",", ".", ("-",)), "missing": "median", "ids": ("id",)}
    table = OwnTable.of([path], None, **options)
    schema = table.check()
    assert schema.features == ("Betrag", "Land=DE", "Land=FR")
    x = np.concatenate([schema.encode(block) for block in read(path, schema.wanted)])
    np.testing.assert_allclose(x[:2, 0], [1234.51, 2.25])
    assert x[8, 0] == np.float32(schema.inputs[0].fill)
    assert OwnTable.from_description(table.describe()) == table
    for role in ("text", "drop"):
        assert "Betrag" not in OwnTable.of([path], None, **{role: ("Betrag",)}).check().features


def test_notation_of_numbers():
    cells = pl.Series(["1.234,5", "1234,5", "12.34", "-7", "1.23,4", "", "1.5"])
    values, strange = as_numbers(cells, Notation(",", "."))
    assert values.to_list() == [1234.5, 1234.5, None, -7, None, None, None]
    assert strange.tolist() == [2, 4, 6]
    values, strange = as_numbers(pl.Series(["-999", "3"]), Notation(missing=("-999",)))
    assert (values.to_list(), len(strange)) == ([None, 3], 0)
    assert as_numbers(pl.Series([-999.0, 3.0]), Notation(missing=("-999",)))[0].to_list() == [
        None,
        3,
    ]
    for wrong in ({"decimal": ";"}, {"thousands": "."}, {"thousands": "x"}):
        with pytest.raises(UserError, match="expected"):
            Notation(**wrong)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["1,234", "12,500", "3,000.5"], "--thousands ,"),
        (["1 234,5", "2 000,5"], '--decimal , --thousands " "'),
        (["12 %", "13 %"], "--text"),
        (["5", "n.v."], "--missing_values=n.v."),
    ],
)
def test_the_way_out(cells, options):
    assert options in way_out(cells, "a b")
    assert "--drop 'a b'" in way_out(cells, "a b")


def test_codes_and_addresses_stay_text(tmp_path):
    rows = [[f"10.0.0.{i % 5}", f"{i % 4}A" if i % 3 else str(i % 4), str(i)] for i in range(40)]
    schema = learned(text(rows, "ip,code,n"), tmp_path / "t.csv")
    assert [c.kind for c in schema.columns] == ["text", "text", "number"]
    assert not any(c.dropped for c in schema.columns)


def test_all_problems_are_told_together(tmp_path):
    rows = [*ROWS, ["", "a", "1"], ["1", "b", "two"], ["1e39", "a", "1"]]
    path = write(tmp_path / "t.csv", text([[*row, "7,5", "k"] for row in rows], "x,t,u,v,w,c"))
    with pytest.raises(UserError, match=r"^3 problems:") as error:
        OwnTable.of([path], None, label="class", drop=("w",)).check()
    for told in ("line 24, column 'x'", "line 23, column 'u'", "no column 'class' for --label"):
        assert told in str(error.value)
    with pytest.raises(UserError, match="no column 'nowhere' for --id"):
        OwnTable.of([path], None, ids=("nowhere",)).check()


def test_names_of_options_are_kept_with_the_model(tmp_path):
    schema = Schema((Column("x", "number"), Column("id", "id", "kept")), Notation(",", "", ("-",)))
    Encoder(schema, np.float32([0]), np.float32([1])).save(tmp_path)
    loaded = Encoder.load(tmp_path).schema
    assert loaded == schema
    assert loaded.ids == ("id",)
    content = json.loads((tmp_path / "inputs.json").read_text())
    del content["notation"]  # as written before there were notations
    write(tmp_path / "inputs.json", json.dumps(content))
    assert Encoder.load(tmp_path).schema.notation == Notation()


# --- memory follows settings ---------------------------------------------------------------------
def test_columns_that_nobody_wants_are_not_read(tmp_path):
    path = write(tmp_path / "t.csv", text(ROWS))
    (block,) = read(path, ["u"])
    assert block.frame.columns == ["u"]
    assert block.names == ("x", "t", "u")
    (block,) = read(path, skipped=["x", "u"])
    assert block.frame.columns == ["t"]
    pl.DataFrame({"x": [1.0], "list": [[1, 2]]}).write_parquet(tmp_path / "t.parquet")
    (block,) = read(tmp_path / "t.parquet", ["x"])
    assert block.frame.columns == ["x"]


def test_blocks_are_bounded_in_bytes_and_cells_in_length(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", 10_000)
    cells = ["ä" * 3000 if i % 2 else "b" for i in range(100)]
    frame = pl.DataFrame({"x": range(100), "t": cells, "c": pl.Series(cells, dtype=pl.Categorical)})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        blocks = list(read(tmp_path / name))
        assert max(map(len, blocks)) <= 8
        found = pl.concat([block.frame for block in blocks])
        assert found["t"].to_list() == [cell[: reading.LONGEST_CELL] for cell in cells]
        assert found["c"].to_list() == found["t"].to_list()


def test_a_long_class_is_an_error_and_a_long_text_no_feature(tmp_path):
    rows = [[str(i), "a" * 300 if i % 2 else "b", "a" if i % 3 else "b"] for i in range(20)]
    path = write(tmp_path / "t.csv", text(rows))
    schema = OwnTable.of([path], None).check()
    assert schema.columns[1].dropped == "texts of more than 200 characters"
    with pytest.raises(UserError, match=r"line 3, column 't': expected a class of at most 200"):
        OwnTable.of([path], None, label="t").check()
    write(path, text([*ROWS, ["b" * 20_000, "a", "1"]]))
    with pytest.raises(UserError, match=r"found 'b+…") as error:
        OwnTable.of([path], None).check()
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_encodings(tmp_path, encoding):
    content = text([["1", "ü", "2"], ["2", "a", "3"]])
    path = write(tmp_path / "t.csv", content.encode(encoding))
    (block,) = read(path, encoding=encoding)
    assert block.frame["t"].to_list() == ["ü", "a"]
    with pytest.raises(UserError, match=r"--encoding"):
        list(read(path))
    with pytest.raises(UserError, match=r"--encoding nonsense: expected"):
        list(read(path, encoding="nonsense"))


def test_lines_are_those_of_an_editor(tmp_path):
    path = write(tmp_path / "t.csv", '\n"a\nb",c\n1,"x\ny"\n\n2,z\n')
    (block,) = read(path)
    assert block.lines.tolist() == [4, 7]
    assert list(block.numbers) == [1, 2]
    assert block.select(np.array([False, True])).place("c", 0).endswith("line 7, column 'c'")
