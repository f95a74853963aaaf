"""What every detector must do. Parametrised over the table of components: a new one is included."""

import copy
import json
import pickle
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conftest import DETECTORS, limit_memory, make, release_memory, toy
from processes import Started
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from baselines import seq2seq
from libs.detectors.components import describe, rebuild
from libs.detectors.detector import Detector
from libs.utils.errors import UserError

QUICK = ("A3", "DevNet", "IsolationForest")
"""One of each kind: with a target, of labels, without networks. The others are slow."""
NAMES = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in DETECTORS]
pytestmark = pytest.mark.parametrize("name", NAMES, scope="module")


@pytest.fixture(scope="module", autouse=True)
def _looped():
    """Long sequences are not unrolled, which would take long to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seq2seq, "UNROLLED", 8)
        yield


@pytest.fixture(scope="module")
def build(name, train_rows) -> Callable[..., Detector]:
    """Make the detector, unfitted; what it builds on, if anything, is trained once for all."""
    settings = make(name).get_params(deep=False)
    parts = {k: settings[k] for k in ("target", "clustering") if settings.get(k) is not None}
    x, y = train_rows
    for part in parts.values():
        part.set_params(random_state=3).fit(x[y == 0])
    return lambda epochs=None: make(name, epochs).set_params(**parts)


@pytest.fixture(scope="module")
def fitted(build, train_rows) -> Iterator[Detector]:
    """The detector of a group of tests, which goes with the last of them."""
    yield build().fit(*train_rows)
    release_memory()


@pytest.fixture(scope="module")
def explained(build, fitted) -> Detector:
    """A detector that explains; if from reference rows, one feature alone tells its anomalies."""
    if not fitted.starts_from_reference:
        return fitted
    x, y = toy(1, 400, 60)
    x[400:] = toy(2, 60, 0)[0]
    x[400:, 7] += 0.6
    return build().fit(x, y).keep_reference(x[:400], seed=5)


@pytest.fixture(scope="module")
def brief(build, train_rows, tmp_path_factory) -> Detector:
    """Trained for two epochs on a memory-mapped file, which is never read as a whole."""
    x, y = train_rows
    file = tmp_path_factory.mktemp("rows") / "train.npy"
    np.save(file, x)
    with pytest.MonkeyPatch.context() as patch:
        limit_memory(patch, x[y == 0])
        return build(2).fit(np.load(file, mmap_mode="r"), y)


def test_learns_all_weights(name, brief, fitted):
    """Every trainable variable moves away from where the same seed has it after two epochs.

    A target is the same for both: its weights are learned in tests of its own class.
    """
    if not getattr(fitted, "networks", ()):
        pytest.skip("no networks")
    pairs = [(getattr(brief, n), getattr(fitted, n)) for n in fitted.networks]
    own = [(a.trainable_variables, b.trainable_variables) for a, b in pairs if a is not b]
    assert any(early for early, _ in own)
    for early, late in own:
        for before, after in zip(early, late, strict=True):
            assert not np.array_equal(before.numpy(), after.numpy())
            assert np.isfinite(after.numpy()).all()


def test_finds_anomalies(name, fitted, train_rows, request):
    """Rows of pure noise score above normal rows, and scores are not constant."""
    if name == "DevNet":
        reason = "linear in what tells known anomalies from normal rows; half of the noise is below"
        request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError, strict=True))
    x = np.random.default_rng(5).normal(0.5, 1, (200, 20)).astype(np.float32)
    scores = fitted.decision_function(np.concatenate([train_rows[0][:200], x]))
    assert scores.dtype == np.float32
    assert scores.shape == (400,)
    assert roc_auc_score(np.repeat([0, 1], 200), scores) > 0.9


def test_depends_on_labels(build, request, train_rows, test_rows):
    """With true labels clearly better than with permuted ones."""
    if not build().uses_labels:
        pytest.skip("uses none, which the next test shows")
    x, y = train_rows
    permuted = build().fit(x, np.random.default_rng(7).permutation(y))
    auc, auc_permuted = (
        roc_auc_score(test_rows[1], d.decision_function(test_rows[0]))
        for d in (request.getfixturevalue("fitted"), permuted)
    )
    assert auc > 0.9
    assert auc > auc_permuted + 0.1


def test_a_fit_depends_on_rows_and_seed_alone(build, brief, train_rows, test_rows):
    """Same seed, same bits, whatever the object has learned before and wherever the rows are.

    Another seed, other bits. Where no labels are used, known anomalies make no difference. Rows,
    settings and the global random generators stay as they are.
    """
    x, y = train_rows[0].copy(), train_rows[1].copy()
    detector = build(0)
    if "random_state" in detector.get_params():
        scores = [
            detector.set_params(random_state=seed).fit(x, y).decision_function(test_rows[0])
            for seed in (3, 4)
        ]
        assert not np.array_equal(*scores)
        detector.calibrate(x[:100], 0.5)
    detector.set_params(**build(2).get_params(deep=False))
    before = describe(detector)
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    detector.fit(x, y) if detector.uses_labels else detector.fit(x[y == 0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
    np.testing.assert_array_equal(x, train_rows[0])
    np.testing.assert_array_equal(y, train_rows[1])
    assert describe(detector) == before
    assert not hasattr(clone(detector), "training_")
    networks = hasattr(detector, "networks")
    same = brief if networks else build(2).fit(x, y)  # others fit a sample of a file
    expected = same.decision_function(test_rows[0])
    np.testing.assert_array_equal(detector.decision_function(test_rows[0]), expected)
    assert not hasattr(detector, "calibration_scores_")
    if detector.uses_labels:  # else it is of other training rows
        assert detector.threshold_ == same.threshold_


def test_bfloat16_products(build, request, train_rows, test_rows):
    """They teach as well; the model that remains is float32."""
    fast = build()
    if "precision" not in fast.get_params():
        pytest.skip("float32 only")
    fast.set_params(precision="bfloat16").fit(*train_rows)
    layers = [la for n in fast.networks for la in getattr(fast, n)._flatten_layers()]
    assert {layer.dtype_policy.name for layer in layers} == {"float32"}
    scores = fast.decision_function(test_rows[0])
    assert roc_auc_score(test_rows[1], scores) > 0.9
    fitted = request.getfixturevalue("fitted")
    assert not np.array_equal(fitted.decision_function(test_rows[0]), scores)
    with pytest.raises(UserError, match="float32, bfloat16"):
        build().set_params(precision="float16").fit(*train_rows)


def test_rows_are_scored_each_by_itself(name, fitted, test_rows):
    """No row's score depends on the other rows: nothing is learned from test rows."""
    x = test_rows[0]
    scores = fitted.decision_function(x)
    backwards = fitted.decision_function(x[::-1])[::-1]
    np.testing.assert_allclose(scores, backwards, rtol=1e-4, atol=1e-5)
    alone = np.concatenate([fitted.decision_function(x[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(scores[:5], alone, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scores, fitted.decision_function(x))


def test_rows_that_need_not_fit_into_memory(brief, train_rows, test_rows, tmp_path, monkeypatch):
    """A memory-mapped file is never read as a whole; chunks of rows are scored like all at once."""
    normal = train_rows[0][train_rows[1] == 0]
    np.save(tmp_path / "test.npy", test_rows[0])
    limit_memory(monkeypatch, normal)
    whole = brief.decision_matrix(np.load(tmp_path / "test.npy", mmap_mode="r"))
    assert whole.dtype == np.float32
    monkeypatch.undo()
    np.testing.assert_allclose(brief.decision_matrix(test_rows[0]), whole, rtol=1e-4, atol=1e-5)
    chunks = [test_rows[0][:7], test_rows[0][7:500], test_rows[0][500:]]
    streamed = brief.decision_matrix(iter(chunks))
    np.testing.assert_allclose(streamed, whole, rtol=1e-4, atol=1e-5)
    assert [len(s) for s in brief.iter_scores(iter(chunks))] == [7, 493, 100]
    chunks[1] = np.where(np.arange(493)[:, None] == 3, np.nan, chunks[1])
    with pytest.raises(UserError, match=r"found nan in row 10, column \[0\]"):
        brief.decision_matrix(iter(chunks))
    with pytest.raises(UserError, match="without chunks"):
        brief.decision_matrix(iter(()))


def test_settings_survive_json(name):
    description = json.loads(json.dumps(describe(make(name))))
    assert json.loads(json.dumps(describe(rebuild(description)))) == description


def test_save_load_in_a_fresh_process(name, fitted, test_rows, tmp_path):
    x = test_rows[0]
    fitted.calibrate(x[:200], rate=0.05)
    fitted.save(tmp_path / "model")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np;"
        "from libs.utils.runtime import start_tensorflow; start_tensorflow();"
        "from libs.detectors.detector import Detector; d = Detector.load(sys.argv[1] + '/model');"
        "x = np.load(sys.argv[1] + '/x.npy'); np.savez(sys.argv[1] + '/out.npz',"
        "s=d.decision_function(x), p=d.predict(x), q=d.predict_proba(x))"
    )
    code, _, err = Started(["-c", code, tmp_path]).finish()
    assert code == 0, err
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["s"], fitted.decision_function(x))
        np.testing.assert_array_equal(out["p"], fitted.predict(x))
        np.testing.assert_array_equal(out["q"], fitted.predict_proba(x))


def test_copies(name, fitted, test_rows):
    """Of fitted and unfitted detectors; training rows do not travel with them."""
    assert describe(copy.deepcopy(make(name))) == describe(make(name))
    again, x = pickle.loads(pickle.dumps(fitted)), test_rows[0]  # noqa: S301
    assert again.training_rows_.sample is None
    np.testing.assert_allclose(again.decision_function(x), fitted.decision_function(x), rtol=1e-5)
    np.testing.assert_array_equal(again.labels_, fitted.labels_)


def test_damaged_folder_is_a_clear_error(name, fitted, tmp_path):
    fitted.save(tmp_path / "model")
    largest = max((tmp_path / "model").iterdir(), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 255
    largest.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Detector.load(tmp_path / "model")
    largest.unlink()
    with pytest.raises(UserError, match=r"missing|not a model folder"):
        Detector.load(tmp_path / "model")


def test_threshold_comes_from_calibration_rows_alone(name, fitted, test_rows):
    x = toy(9, 400, 0)[0]
    fitted.calibrate(x, rate=0.1)
    threshold = fitted.threshold_
    assert np.mean(fitted.decision_function(x) > threshold) <= 0.1
    assert np.mean(fitted.decision_function(x) > threshold) > 0.08
    flagged = fitted.predict(test_rows[0])
    assert fitted.threshold_ == threshold
    assert set(np.unique(flagged)) <= {0, 1}
    np.testing.assert_array_equal(flagged, fitted.decision_function(test_rows[0]) > threshold)
    proba = fitted.predict_proba(test_rows[0])
    assert proba.shape == (len(test_rows[0]), 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    order = np.argsort(fitted.decision_function(test_rows[0]))
    assert (np.diff(proba[order, 1]) >= 0).all()
    for rate in (0, 1, -0.1):
        with pytest.raises(UserError, match="between 0 and 1"):
            fitted.calibrate(x, rate=rate)
    with pytest.raises(UserError, match="at least 1000 rows"):
        fitted.calibrate(x, rate=0.001).predict(test_rows[0])


def test_bad_rows_are_clear_errors(name, fitted, train_rows):
    x, y = train_rows
    with pytest.raises(UserError, match="not fitted"):
        make(name).decision_function(x)
    with pytest.raises(UserError, match=r"\(20,\)"):
        fitted.decision_function(x[:, :5])
    broken = x.copy()
    broken[17, 3] = np.nan
    with pytest.raises(UserError, match=r"row 17, column \[3\]"):
        make(name).fit(broken, y)
    with pytest.raises(UserError, match="labels"):
        make(name).fit(x, y + 1)
    with pytest.raises(UserError, match="no normal row"):
        make(name).fit(x, np.ones(len(x), int))
    with pytest.raises(UserError, match="numeric rows"):
        make(name).fit(np.array([["a", "b"]]))


def test_explanations_add_up(fitted, test_rows, tmp_path, request):
    """Contributions sum to the score, or to its difference from a reference row's."""
    x = test_rows[0][280:320]
    if fitted.explained_by is None:
        with pytest.raises(UserError, match="cannot be told apart by features"):
            fitted.explain(x)
        return
    if fitted.starts_from_reference:
        with pytest.raises(UserError, match="Call keep_reference"):
            fitted.explain(x)
    fitted = request.getfixturevalue("explained")
    if fitted.starts_from_reference:
        assert fitted.reference_.shape == (256, 20)
    found = fitted.explain(x)
    assert found.contributions.shape == x.shape
    assert found.contributions.dtype == np.float32
    assert np.isfinite(found.contributions).all()
    scores = fitted.decision_function(x)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)
    if found.reference is not None:
        base = fitted.decision_function(fitted.reference_[found.reference])
        np.testing.assert_allclose(found.base, base, rtol=1e-4, atol=1e-5)
        typical = np.median(fitted.decision_function(fitted.reference_))
        assert base.max() <= typical * (1 + 1e-6)
    total = found.contributions.sum(axis=1)
    np.testing.assert_allclose(total, found.scores - found.base, rtol=1e-4, atol=1e-5)
    order = np.argsort(-found.contributions, axis=1)
    assert len(np.unique(order, axis=0)) > 10
    again = fitted.explain(x)
    np.testing.assert_array_equal(again.contributions, found.contributions)
    fitted.save(tmp_path / "model")
    loaded = Detector.load(tmp_path / "model").explain(x)
    np.testing.assert_array_equal(loaded.contributions, found.contributions)
    with pytest.raises(UserError, match="label budget 7: expected one of"):
        fitted.explain(x, budget=7)


def test_the_only_anomalous_feature_contributes_most(fitted, request):
    """Known anomalies, and new rows, differ from normal ones in one feature only."""
    if fitted.explained_by is None:
        pytest.skip("explains nothing")
    new = toy(3, 40, 0)[0]
    new[:, 7] += 0.6
    strongest = request.getfixturevalue("explained").explain(new).contributions.argmax(axis=1)
    assert np.mean(strongest == 7) > 0.8
