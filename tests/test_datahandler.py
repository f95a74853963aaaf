"""Splits: disjoint, reproducible, of the promised sizes, and blind to test rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.DataHandler import DataHandler, Experiment, SplitRules, view_labels
from libs.datasets.dataset import DataSet
from libs.utils.errors import UserError, shorten

CLASSES = np.array(["a", "b", "c", "d", "e"])
EXPERIMENT = Experiment(("a", "b"), ("c",), ("d",))


def data_set(n: int, seed: int = 0, official_test: bool = False, maximum=None) -> DataSet:
    """Rows whose first feature is their own number, so that a row can be recognised."""
    rng = np.random.default_rng(seed)

    def rows(first: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(0, 5, (n, 3)).astype(np.float32)
        x[:, 0] = np.arange(first, first + n)
        return x, CLASSES[rng.permutation(np.arange(n) % len(CLASSES))]

    x, classes = rows(0)
    test = rows(n) if official_test else (None, None)
    return DataSet("toy", x, classes, "0", *test, ("id", "u", "v"), maximum)


def identified(x: np.ndarray) -> list[int]:
    """Numbers of rows that were not scaled."""
    return np.rint(x[:, 0]).astype(int).tolist()


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(400, 700),
    seed=st.integers(0, 2**31 - 1),
    known=st.integers(0, 5),
    p=st.sampled_from([0.0, 0.01, 0.1]),
    official=st.booleans(),
)
def test_invariants(n, seed, known, p, official):
    data = data_set(n, official_test=official, maximum=1.0)
    handler = DataHandler(data, SplitRules(validation=0.2), seed)
    splits = handler.split(EXPERIMENT, known, p_contamination=p)
    train, val, test = map(identified, (splits.x_train, splits.x_val, splits.x_test))

    # each row at most once, and in one part only
    assert len(set(train)) == len(train)
    assert not set(train) & set(val)
    assert not set(train) & set(test)
    assert not set(val) & set(test)

    # counts: known anomalies exactly, pollution by its formula
    assert splits.y_train.sum() == known
    classes = data.classes[train]
    polluted = (splits.y_train == 0) & np.isin(classes, ("c", "d"))
    clean = np.isin(classes, ("a", "b")).sum()
    assert polluted.sum() == round(clean * p / (1 - p))
    assert set(classes[splits.y_train == 1]) <= {"c"}
    assert "e" not in set(classes) | set(splits.classes_val) | set(splits.classes_test)

    # the same again, and different for another seed
    again = DataHandler(data, SplitRules(validation=0.2), seed).split(
        EXPERIMENT, known, p_contamination=p
    )
    np.testing.assert_array_equal(splits.x_train, again.x_train)
    other = DataHandler(data, SplitRules(validation=0.2), seed + 1).split(EXPERIMENT)
    assert identified(other.x_val) != val


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31 - 1), few=st.integers(0, 4), more=st.integers(5, 9))
def test_budgets_are_nested(seed, few, more):
    """The known rows of a small budget are the first ones of a larger budget."""
    rules = SplitRules(validation=0.2)  # of fewer rows perhaps none is normal
    handler = DataHandler(data_set(300), rules, seed)
    small, large = (handler.split(EXPERIMENT, n) for n in (few, more))
    np.testing.assert_array_equal(
        small.x_train[small.y_train == 1], large.x_train[large.y_train == 1][:few]
    )
    np.testing.assert_array_equal(small.x_train[small.y_train == 0], large.x_train[:-more])
    scheduled = handler.split(EXPERIMENT, few, schedule=more)
    np.testing.assert_array_equal(scheduled.x_train, large.x_train)
    assert handler.split(EXPERIMENT, few, schedule=10**6).y_train.sum() < 60


@pytest.mark.parametrize("scale_on", ["all", "normal"])
@pytest.mark.parametrize("official", [False, True])
def test_test_rows_change_nothing(scale_on, official):
    """Training and validation rows, scaling included, are the same whatever test rows hold."""
    rules = SplitRules(scale_on=scale_on)
    data = data_set(600, official_test=official)
    splits = DataHandler(data, rules, 1).split(EXPERIMENT, 3)
    chosen = DataHandler(data_set(600, official_test=official, maximum=1.0), rules, 1)
    x, x_test = data.x.copy(), data.x_test
    if official:
        x_test = np.full_like(x_test, 1e9)
    else:
        x[identified(chosen.split(EXPERIMENT, 3).x_test)] = 1e9
    changed = DataSet("toy", x, data.classes, "0", x_test, data.classes_test, data.features)
    other = DataHandler(changed, rules, 1).split(EXPERIMENT, 3)
    np.testing.assert_array_equal(splits.x_train, other.x_train)
    np.testing.assert_array_equal(splits.x_val, other.x_val)
    assert not np.array_equal(splits.x_test, other.x_test)


def test_scaling():
    """All rows but the test rows, or the normal training rows alone, span [0, 1]."""
    data = data_set(300)
    splits = DataHandler(data, SplitRules(scale_on="normal"), 0).split(EXPERIMENT, 5)
    normal = splits.x_train[splits.y_train == 0]
    np.testing.assert_allclose(normal.min(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normal.max(axis=0), 1, atol=1e-6)
    splits = DataHandler(data, SplitRules(scale_on="all"), 0).split(EXPERIMENT, 5)
    assert splits.x_train.min() >= 0
    assert splits.x_train.max() <= 1
    constant = data_set(300)
    constant.x[:, 1] = 7
    assert np.isfinite(DataHandler(constant, SplitRules(), 0).split(EXPERIMENT).x_train).all()


def test_test_seed_fixes_the_test_rows():
    rules = SplitRules(test_seed=42)
    splits = [DataHandler(data_set(300), rules, s).split(EXPERIMENT) for s in (1, 2)]
    np.testing.assert_array_equal(splits[0].classes_test, splits[1].classes_test)
    assert not np.array_equal(splits[0].classes_val, splits[1].classes_val)


def test_views():
    classes = np.array(["a", "c", "d", "b", "e"])
    expected = {
        "known": ([1, 1, 0, 1, 0], [0, 1, 0]),
        "transfer": ([1, 1, 1, 1, 0], [0, 1, 1, 0]),
        "unknown": ([1, 0, 1, 1, 0], [0, 1, 0]),
    }
    assert list(EXPERIMENT.views) == list(expected)
    for view, (mask, y) in expected.items():
        found = view_labels(EXPERIMENT, view, classes)
        np.testing.assert_array_equal(found[0], np.array(mask, bool))
        np.testing.assert_array_equal(found[1], y)
    assert list(Experiment(("0",), ("1",)).views) == ["known"]
    assert list(Experiment(("0",), (), ("1",)).views) == ["unknown"]
    assert Experiment(("a/b",), ("..",)).name == "a%2Fb_known_.."


def test_wrong_experiments():
    with pytest.raises(UserError, match=r"overlapping class lists: c .* normal a, c; known c;"):
        Experiment(tuple(np.array(["a", "c"])), ("c",))
    with pytest.raises(UserError, match="normal class"):
        Experiment((), ("c",))
    handler = DataHandler(data_set(100), SplitRules(), 0)
    with pytest.raises(UserError, match="no class x; its classes are a, b, c, d, e"):
        handler.split(Experiment(("a",), ("x",)))
    with pytest.raises(UserError, match="500 known anomalies wanted"):
        handler.split(EXPERIMENT, 500)
    with pytest.raises(UserError, match="p_contamination"):
        handler.split(EXPERIMENT, p_contamination=1.5)
    with pytest.raises(UserError, match="anomalous training rows"):
        handler.split(EXPERIMENT, p_contamination=0.9)
    with pytest.raises(UserError, match="empty split"):
        DataHandler(data_set(5), SplitRules(), 0)
    lonely = data_set(100, official_test=True)
    lonely.classes_test[lonely.classes_test == "c"] = "a"
    with pytest.raises(UserError, match=r"empty split.*known.*0 anomalies"):
        DataHandler(lonely, SplitRules(), 0).split(EXPERIMENT)


def test_messages_show_plain_values():
    """Not the type that numpy gives them."""
    assert shorten(np.str_("dos")) == "'dos'"
    assert shorten(np.array([0.5])[0]) == "0.5"
