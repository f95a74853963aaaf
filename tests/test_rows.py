"""Views of rows: the same values as arrays, whole data sets trained and scored by them alike."""

import numpy as np
import pytest
from conftest import limit_memory, make

from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets.dataset import DataSet
from libs.datasets.splits import rows
from libs.datasets.splits.rows import (
    Rows,
    as_rows,
    collect_blocks,
    feature_ranges,
    hold_in_memory,
    iterate_blocks,
    sample_rows,
)


@pytest.fixture
def base(tmp_path) -> np.ndarray:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(3, 5, (1000, 6)).astype(np.float32))
    return np.load(tmp_path / "x.npy", mmap_mode="r")


def test_a_view_gives_what_an_array_gives(base):
    rng = np.random.default_rng(1)
    numbers, low, span = rng.permutation(1000)[:700], base.min(axis=0), np.ptp(base, axis=0)
    view, array = Rows(base, numbers, low, span), (base[numbers] - low) / span
    mask, chosen = rng.random(700) < 0.3, rng.integers(0, 700, 50)
    assert (view.shape, len(view), view.dtype, view.nbytes) == ((700, 6), 700, np.float32, 16_800)
    for found, expected in (
        (view[:], array),
        (view[5:50], array[5:50]),
        (view[chosen], array[chosen]),
        (view[mask][:], array[mask]),
        (view[mask][:30][3:], array[mask][3:30]),
        (np.asarray(view), array),
        (np.concatenate(list(iterate_blocks(view))), array),
    ):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    assert isinstance(view[mask], Rows)
    assert base.min() == low.min(), "the file is as before"


def test_blocks_and_extent(base, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_BYTES", 24 * 100)
    assert [len(block) for block in iterate_blocks(Rows(base))] == [64] * 15 + [40]
    assert [len(block) for block in iterate_blocks(np.asarray(base))] == [1000]
    low, high = feature_ranges(Rows(base, np.arange(500)))
    np.testing.assert_array_equal([low, high], [base[:500].min(axis=0), base[:500].max(axis=0)])


def test_only_large_rows_are_views(base, monkeypatch):
    double = np.asarray(base, np.float64)
    assert as_rows(double).dtype == np.float32
    assert isinstance(hold_in_memory(Rows(base)), np.ndarray)
    monkeypatch.setattr(rows, "HELD_BYTES", 24 * 999)
    assert hold_in_memory(Rows(base)).shape == base.shape
    np.testing.assert_array_equal(as_rows(double)[7:9], base[7:9])
    assert isinstance(as_rows(double), Rows)
    assert isinstance(hold_in_memory(Rows(base, np.arange(999))), np.ndarray)


def test_samples(base, monkeypatch):
    array = np.asarray(base)
    assert sample_rows(array, 1) is array
    monkeypatch.setattr(rows, "HELD_BYTES", 24 * 100)
    one, same, other = (sample_rows(Rows(base), seed)[:, 0].tolist() for seed in (1, 1, 2))
    assert len(set(one)) == 100
    assert one == same
    assert one != other


@pytest.mark.parametrize("large", [False, True])
def test_collected(base, tmp_path, monkeypatch, large):
    if large:
        monkeypatch.setattr(rows, "HELD_BYTES", 24 * 999)
    before = sorted(tmp_path.iterdir())
    parts = (np.asfortranarray(base[i : i + 300]) for i in range(0, 1000, 300))
    whole = collect_blocks(parts, base.shape, [tmp_path / "missing", tmp_path])
    assert isinstance(whole, np.memmap) == large
    np.testing.assert_array_equal(whole, base)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["A3", "Autoencoder", "DevNet"])
@pytest.mark.slow
def test_larger_than_memory_gives_the_same_bits(name, tmp_path, monkeypatch):
    """Split, training and scores are those of the same rows in memory; so is A3's own target."""
    rng = np.random.default_rng(3)
    classes = np.array(["a", "b", "c"])[rng.choice(3, 2000, p=[0.9, 0.05, 0.05])]
    x = rng.normal(2, 3, (2000, 10)).astype(np.float32) + (classes != "a")[:, None] * 4
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

    def run(x: np.ndarray, kind: type) -> tuple[np.ndarray, float]:
        data = DataSet("toy", x, classes, "0", features=tuple("abcdefghij"))
        splits = DataHandler(data, SplitRules(validation=0.2), 1).split(
            Experiment(("a",), ("b",), ("c",)), 20
        )
        assert type(splits.x_train) is kind
        detector = make(name, epochs=2).fit(splits.x_train, splits.y_train)
        detector.calibrate(splits.x_val_normal)
        return detector.decision_matrix(splits.x_test), detector.threshold_

    scores, threshold = run(np.asarray(mapped), np.ndarray)
    limit_memory(monkeypatch, x[:500])
    scores_mapped, threshold_mapped = run(mapped, Rows)
    np.testing.assert_array_equal(scores, scores_mapped)
    assert threshold == threshold_mapped
