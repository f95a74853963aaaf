"""The Ensemble's encodings, readers and evidence, by hand and by what they promise."""

import numpy as np
import pytest
from conftest import make, toy
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from libs.detectors.attribution import of_swaps
from libs.Ensemble import Ensemble, _clear
from libs.targets.encodings import EncodedRows, Ranks, Robust, Strokes
from libs.targets.readers import Evidence, Forests, Neighbours, counter_examples


def rows(seed, n, d=4):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_robust_encoding_by_hand():
    x = np.linspace(0, 1, 101, dtype=np.float32)[:, None] * [1, 0] + [0, 3]
    z = Robust.of(x.astype(np.float32))(np.array([[0.5, 3], [0.95, 4]], np.float32))
    np.testing.assert_allclose(z, [[0, 0], [0.45 * 3.29 / 0.9, 1]], atol=1e-5)


def test_constants_have_no_deviation():
    x = np.full((50_000, 1), 0.1, np.float32)
    for encoding in (Robust, Ranks):
        assert encoding.of(x).scale == [1]


@pytest.mark.slow
def test_cells_as_far_as_numbers_go():
    """Finite scores above all others, whatever the feature's scale."""
    x, y = toy(1, 400, 30)
    x[:, 0] *= 1e-6
    new = x[:20].copy()
    new[:10, 0], new[10:, 3] = np.finfo(np.float32).max, -np.finfo(np.float32).max
    for budgets in ((0,), (30,)):
        ensemble = make("Ensemble").set_params(budgets=budgets).fit(x, y)
        scores = ensemble.decision_function(new)
        assert np.isfinite(scores).all()
        assert scores.min() > ensemble.decision_function(x[y == 0]).max()


def test_ranks_are_normal_scores_and_go_on_beyond_the_range():
    x = rows(1, 4000, 1)
    ranks = Ranks.of(x)
    inside = np.quantile(x, [0.1, 0.5, 0.9])[:, None].astype(np.float32)
    np.testing.assert_allclose(ranks(inside)[:, 0], [-1.28, 0, 1.28], atol=0.03)
    far = np.array([[x.max() + 1], [x.max() + 100], [x.min() - 100]], np.float32)
    z = ranks(far)[:, 0]
    assert ranks(x).max() < z[0] < z[1] < 10
    assert z[2] < ranks(x).min()


def test_strokes_see_shape_and_not_brightness():
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, 5:20, 10:12] = 0.5
    strokes = Strokes(np.array(image.shape[1:]))
    z = strokes(image.reshape(1, -1))
    assert z.shape == (1, 8 * 7 * 7)
    np.testing.assert_allclose(np.linalg.norm(z), 1, atol=0.01)
    np.testing.assert_allclose(strokes(2 * image.reshape(1, -1)), z, atol=1e-3)
    turned = strokes(image.transpose(0, 2, 1, 3).reshape(1, -1))
    assert (turned * z).sum() < 0.7
    assert not Strokes.fits((8, 8, 1))


def test_neighbours_are_scikit_learns():
    """Distances to all rows count four times as much as those to the core."""
    x, new = rows(1, 200), rows(2, 50)
    robust = Robust.of(x)
    reader = Neighbours.of(robust, x)
    crowded = NearestNeighbors(n_neighbors=20).fit(robust(x)).kneighbors()[0].mean(axis=1)
    np.testing.assert_array_equal(reader.rows, robust(x)[np.argsort(crowded, kind="stable")])
    every, core = (NearestNeighbors(n_neighbors=5).fit(r) for r in (reader.rows, reader.rows[:160]))

    def score(to_all, to_core):
        return np.log(0.8 * to_all[0].mean(axis=1) + 0.2 * to_core[0].mean(axis=1))

    expected = score(every.kneighbors(robust(new)), core.kneighbors(robust(new)))
    np.testing.assert_allclose(reader(EncodedRows(new)), expected, rtol=1e-3, atol=1e-4)
    to_core = np.concatenate([core.kneighbors()[0], core.kneighbors(reader.rows[160:])[0]])
    own = score(every.kneighbors(), (to_core,))
    np.testing.assert_allclose(reader.normal_scores(), own, rtol=1e-3, atol=1e-4)


def test_a_class_among_the_normal_rows_is_still_seen():
    """Pollution of 5 %: a narrow group of anomalies, whose like would pass for normal."""
    x = np.concatenate([rows(0, 950), 0.1 * rows(1, 50) + 4])
    reader = Neighbours.of(Robust.of(x), x)
    new = EncodedRows(np.concatenate([rows(2, 400), 0.1 * rows(3, 100) + 4]))
    everything = Neighbours(reader.encoding, reader.rows, len(x))
    found = [roc_auc_score(np.repeat([0, 1], [400, 100]), r(new)) for r in (everything, reader)]
    assert found[0] < 0.3
    assert found[1] > 0.95


def test_forests_score_their_own_rows_out_of_bag():
    """On labels without a meaning: high on rows that they know, as on new rows out of bag."""
    plain = make("Ensemble").fit(*toy(1, 200, 20)).encodings_["plain"]
    normal, other = EncodedRows(rows(1, 300)), EncodedRows(rows(2, 60))
    forests, outside = Forests.of(normal, other, [(plain, {"n_estimators": 50})], seed=1)
    outside = outside[:300]
    own = EncodedRows(np.concatenate([normal.x, other.x]))
    assert roc_auc_score(np.repeat([0, 1], [300, 60]), forests(own)) > 0.9
    new = forests(EncodedRows(rows(3, 300)))
    assert abs(np.median(outside) - np.median(new)) < 0.3


def test_counter_examples_leave_the_rows_dependencies():
    z = rows(1, 1000, 1) * np.ones((1, 3), np.float32)  # three equal features
    made = counter_examples(z, np.random.default_rng(0))
    assert made.shape == z.shape
    assert abs(np.corrcoef(made[:500].T)[0, 1]) < 0.2
    assert made[500:].max() > z.max() - 0.5


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 300), scale=st.floats(0.01, 100))
def test_evidence_rises_with_the_score(seed, n, scale):
    """Never negative, never falling, and -log p of ranks where these are many."""
    scores = (scale * np.random.default_rng(seed).normal(size=n)).astype(np.float32)
    evidence = Evidence.of(scores)
    found = evidence(np.sort(np.concatenate([scores, scores + scale, scores - scale])))
    assert (found >= -1e-6).all()
    assert (np.diff(found) >= -1e-3).all()
    assert np.isfinite(evidence(np.array([1e6, -1e6], np.float32))).all()


def test_evidence_is_the_logarithm_of_a_p_value():
    scores = np.random.default_rng(0).exponential(size=4000).astype(np.float32)
    evidence = Evidence.of(scores)
    np.testing.assert_allclose(evidence(np.array([0.7, 2, 5, 9])), [0.7, 2, 5, 9], rtol=0.1)


def test_a_reader_that_does_not_see_the_known_anomalies_loses_its_weight():
    x, y = toy(1, 400, 60)
    blind = x.copy()
    blind[y == 1] = x[:60] + 1e-4  # in the midst of the normal rows
    seeing, not_seeing = (make("Ensemble").fit(rows_, y) for rows_ in (x, blind))
    assert (not_seeing.weights_ < 0.2 * seeing.weights_).all()


def test_a_few_known_anomalies_lower_the_floor_less():
    ensemble = Ensemble()
    own = np.array([0.5, 8, 9, 10, 12.5])
    floors = [ensemble._floor(np.tile(own, n), clear=False) for n in (1, 4, 100)]
    np.testing.assert_allclose(floors, [3.3, 2.25, 0.63], atol=0.01)  # 4, half the mean, to 0.5
    assert ensemble._floor(own, clear=True) == pytest.approx(4)


def test_known_anomalies_are_clear_beside_hidden_ones():
    """Few normal rows that score as they do are taken for their like, many are not."""
    own, normal = np.arange(10, 20), np.random.default_rng(0).normal(size=1000)
    assert _clear(own, normal)
    assert not _clear(own - 9, normal)
    assert _clear(own, np.concatenate([normal, np.full(60, 16)]))
    assert not _clear(own, np.concatenate([normal, np.full(300, 16)]))


def test_a_few_known_anomalies_do_not_hide_other_classes():
    """Some of the five lie among normal rows; the unknown class is where no known one is."""
    normal, known = rows(0, 600), rows(1, 5)
    known[:3, 0] += 8
    x, y = np.concatenate([normal, known]), np.repeat([0, 1], [600, 5])
    unknown = rows(2, 200)
    unknown[:, 1] -= 8
    test, truth = np.concatenate([rows(3, 400), unknown]), np.repeat([0, 1], [400, 200])
    ensemble = make("Ensemble").set_params(budgets=(0, 5)).fit(x, y)
    without, few = (roc_auc_score(truth, s) for s in ensemble.decision_matrix(test).T)
    assert without > 0.99
    assert few > 0.9


@pytest.mark.slow
def test_budgets_share_the_readers_of_normal_rows():
    """The score of a budget is the same alone and beside others; 0 needs no label at all."""
    x, y = toy(1, 400, 60)
    together = make("Ensemble").set_params(budgets=(0, 5, 60)).fit(x, y)
    new = toy(2, 100, 100)[0]
    scores = together.decision_matrix(new)
    for column, budget in enumerate((0, 5, 60)):
        alone = make("Ensemble").set_params(budgets=(budget,)).fit(x, y)
        np.testing.assert_array_equal(alone.decision_function(new), scores[:, column])
    without = make("Ensemble").fit(x[y == 0])
    assert without.budgets_ == (0,)
    np.testing.assert_array_equal(without.decision_function(new), scores[:, 0])


def test_readers_add_up_to_the_score(train_rows, test_rows):
    ensemble = make("Ensemble").fit(*train_rows)
    found = ensemble.explain_parts(test_rows[0][:40])
    assert found.names == ("robust", "ranks", "noise", "known anomalies")
    scores = ensemble.decision_function(test_rows[0][:40])
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), scores, rtol=1e-5)
    assert (found.base == ensemble.floors_[-1]).all()
    known = found.contributions[test_rows[1][:40] == 0, -1]
    assert (known >= 0).all()
    assert (known == 0).any()  # where the forests of known anomalies have nothing to say


def test_swaps_of_many_rows_are_scored_together():
    """Two calls, for each has its price, and the same contributions as row by row."""
    rng, calls = np.random.default_rng(0), []
    x, start = rng.random((2, 50, 7)).astype(np.float32)

    def score(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return (rows[:, :3] ** 2).sum(axis=1) * rows[:, 3] - rows[:, 4]

    found = of_swaps(score, x, start)
    assert calls == [50 * 7, 50 * 8]
    alone = [of_swaps(score, x[[i]], start[[i]]).contributions[0] for i in range(50)]
    np.testing.assert_array_equal(found.contributions, alone)
    np.testing.assert_allclose(
        found.contributions.sum(axis=1), found.scores - found.base, atol=1e-6
    )


@pytest.mark.parametrize(("side", "reader"), [(16, "strokes"), (14, "plain")])
def test_images_are_read_by_their_strokes_or_pixels(side, reader, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((150, side, side, 1)).astype(np.float32) * 0.1
    x[:, 4:12, 7:9] += 0.8  # upright strokes are normal
    x[120:] = x[120:].transpose(0, 2, 1, 3)
    y = np.repeat([0, 1], [120, 30])
    ensemble = Ensemble(budgets=(0, 5), known_trees=(20, 20), random_state=1).fit(x, y)
    assert list(ensemble.readers_) == [reader, "known-n5"]
    scores = ensemble.decision_matrix(x)
    assert roc_auc_score(y, scores[:, 0]) > 0.99
    ensemble.save(tmp_path / "model")
    again = Ensemble.load(tmp_path / "model").decision_matrix(x)
    np.testing.assert_array_equal(again, scores)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.slow
def test_few_normal_rows(n):
    """A table of next to nothing is scored, too."""
    x = rows(1, n + 3)
    ensemble = make("Ensemble").fit(x, np.repeat([0, 1], [n, 3]))
    assert np.isfinite(ensemble.decision_function(rows(2, 9))).all()
