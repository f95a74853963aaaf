"""What lies on disk: kills, foreign folders, damage; nobody's files are removed or believed."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import make

from baselines import IsolationForest
from libs.architecture.saved import load_network
from libs.detectors import estimators
from libs.detectors.detector import Detector
from libs.experiments.file_scoring import score_files
from libs.experiments.stored_runs import StoredRun
from libs.utils import storage
from libs.utils.errors import UserError, shorten

ROOT = Path(__file__).parent.parent
FAST = ("IsolationForest", "PCA", "MeanDistance", "OneClassSVM")


@pytest.fixture(scope="module")
def forest(train_rows):
    detector = IsolationForest(n_estimators=3).fit(*train_rows)
    return detector.calibrate(train_rows[0])


# --- kills ---------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_kill_at_any_file_operation_loses_no_model():
    """See benchmarks.kills, which also kills what clears up."""
    code = (
        "import tempfile; from pathlib import Path; from benchmarks.kills import campaign;"
        "print(campaign(Path(tempfile.mkdtemp()), seconds=1, twice=False))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'new'" in done.stdout


def test_what_a_killed_process_completed_takes_its_place(tmp_path):
    for name, text in (("run", "old"), (".new-run", "new"), (".tmp-1-run", "begun")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    with storage.locked(tmp_path):
        assert (tmp_path / "run/file").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "run"]


def test_locks_that_are_not_waited_for(tmp_path):
    refused = pytest.raises(UserError, match="in use")
    with storage.locked(tmp_path), refused, storage.locked(tmp_path, "in use"):
        pass
    with storage.locked(tmp_path, "in use"):
        pass


def test_two_score_scripts_with_one_output(tmp_path):
    """The second one is told at once, in words about its output."""
    out = tmp_path / "scores.csv"
    with (
        storage.locked(tmp_path / "scores.csv.parts"),
        pytest.raises(UserError, match=r"another process writes .*scores\.csv: wait.*--out"),
    ):
        score_files(None, ["rows.csv"], str(out))


def test_long_values_are_cut_in_messages():
    assert shorten("a'b") == repr("a'b")
    assert shorten("x" * 5_000_000) == "'" + "x" * 199 + "… (5,000,002 characters)"


def test_linked_leftovers(tmp_path):
    """A link is removed, what it leads to stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / ".tmp-1-run").symlink_to(tmp_path / "kept")
    with storage.locked(tmp_path):
        assert (tmp_path / "kept").is_dir()
        assert not (tmp_path / ".tmp-1-run").is_symlink()


def test_a_linked_model_is_replaced_by_a_folder(tmp_path, forest):
    """The link goes; the folder that it leads to is somebody's."""
    forest.save(tmp_path / "kept")
    (tmp_path / "run").symlink_to(tmp_path / "kept")
    forest.save(tmp_path / "run")
    assert not (tmp_path / "run").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept", "run"]
    assert Detector.load(tmp_path / "kept").rate_ == Detector.load(tmp_path / "run").rate_


# --- foreign folders -----------------------------------------------------------------------------
@pytest.mark.parametrize("manifest", [None, '{"name": "of a browser\'s extension"}', "[1]"])
def test_foreign_folders_are_not_replaced(tmp_path, forest, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="holds something else than a model"):
        forest.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_models_damaged_ones_and_empty_folders_are_replaced(tmp_path, forest):
    for content in ("", "{"):
        forest.save(tmp_path / "model")
        (tmp_path / "model/manifest.json").write_text(content)
        forest.save(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    forest.save(tmp_path / "empty")
    assert Detector.load(tmp_path / "empty").rate_ == 0.01


def test_a_folder_without_a_model_names_the_nearest(tmp_path, forest):
    """Nothing advises removal."""
    for name in ("A3/n5", "PCA/run"):
        forest.save(tmp_path / "exp" / name)
    for wrong in ("exp", "exp/A3/n6", "expp"):
        with pytest.raises(
            UserError, match=r"is not a model folder: expected manifest.json"
        ) as error:
            Detector.load(tmp_path / wrong)
        assert str(tmp_path / "exp/A3/n5") in str(error.value)
        assert "emove" not in str(error.value)
    near = storage.nearest_models(tmp_path / "exp/PCA/ruin")
    assert near[0] == tmp_path / "exp/PCA/run"
    assert storage.nearest_models(tmp_path / ("x" * 300)) == near[::-1] or near


# --- damage --------------------------------------------------------------------------------------
def test_a_manifest_vouches_for_itself(tmp_path, forest):
    """An edit is noticed; manifests of before, without a checksum, are read."""
    forest.save(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"rate": 0.5}))
    with pytest.raises(UserError, match="its checksum differs"):
        Detector.load(tmp_path)
    del manifest["checksum"]
    path.write_text(json.dumps(manifest))
    assert Detector.load(tmp_path).rate_ == 0.01


def test_label_budgets_must_suit_the_calibration_scores(tmp_path, forest):
    forest.save(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text()) | {"budgets": [5, 10]}
    del manifest["checksum"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="calibration scores of shape"):
        Detector.load(tmp_path)


@pytest.mark.parametrize("name", ["feature", "left_child", "right_child"])
@pytest.mark.parametrize("value", [2**40, -7, 0])
def test_forged_trees_are_refused(tmp_path, forest, name, value):
    """scikit-learn follows the indices of nodes blindly, out of memory or in circles."""
    forest.save(tmp_path)
    model = estimators.load(tmp_path / "forest.skops", {"sklearn.tree._tree.Tree"})
    state = model.estimators_[1].tree_.__getstate__()
    at = np.flatnonzero(state["nodes"]["left_child"] != -1)[-1]
    state["nodes"][name][at] = value if name != "feature" or value else 20
    model.estimators_[1].tree_.__setstate__(state)
    estimators.save(model, tmp_path / "forged.skops")
    with pytest.raises(UserError, match="nodes point outside"):
        estimators.load(tmp_path / "forged.skops", {"sklearn.tree._tree.Tree"})


@pytest.mark.parametrize("layer", ["Lambda", "TFSMLayer", "TorchModuleWrapper", "NoSuch", "Layer"])
def test_networks_of_other_layers_are_refused(tmp_path, layer):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    replace_in_zip(path, "config.json", b'"Dense"', f'"{layer}"'.encode())
    with pytest.raises(UserError, match=rf"made of keras\.layers\.{layer}, not among"):
        load_network(path)


def test_networks_that_compute_are_loaded(tmp_path):
    inputs = keras.Input((8, 8, 1))
    layers = keras.layers
    x = layers.Conv2D(2, 3, kernel_regularizer="l2", activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="he_normal")(x))
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    assert load_network(tmp_path / "model.keras").count_params() == model.count_params()


def replace_in_zip(path: Path, member: str, old: bytes, new: bytes) -> None:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert old in content[member]
    content[member] = content[member].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)


def test_kept_scores_that_cannot_be_read_are_none(tmp_path):
    """Whatever a damaged archive raises: each byte of a small one is changed in turn."""
    run = StoredRun(tmp_path, {"budgets": None})
    kept = np.arange(6, dtype=np.float32).reshape(-1, 1)
    run.write_scores("test", kept)
    path = run.score_file("test")
    whole = path.read_bytes()
    unread = 0
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x41]) + whole[i + 1 :])
        found = run.scores("test")
        unread += found is None
        assert found is None or np.array_equal(found, kept)
    assert unread > len(whole) / 3


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one that is changed, left out or doubled, or with the end cut off."""
    i = int(rng.integers(len(whole)))
    ways = (
        whole[:i] + bytes([(whole[i] + int(rng.integers(1, 256))) % 256]) + whole[i + 1 :],
        whole[:i] + whole[i + 1 :],
        whole[:i] + whole[i : i + 1] + whole[i:],
        whole[:i],
    )
    return ways[rng.choice(4, p=(0.7, 0.1, 0.1, 0.1))]


def trusted(folder: Path) -> None:
    """Make a folder's checksums anew, as one who forges it would."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["checksum"], manifest["files"]
        storage.write_manifest(folder, manifest)
    except (ValueError, KeyError, TypeError):
        pass


def mutate(folder: Path, rows: np.ndarray, times: int, seed: int, forged: bool) -> dict[str, int]:
    """Change bytes of a saved model; count how loading and scoring end.

    Each must end in a UserError or in the same scores; of a forged one, in other scores at most.
    """
    rng, counts = np.random.default_rng(seed), {"refused": 0, "same": 0, "other": 0}
    expected = Detector.load(folder).decision_matrix(rows)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = {path: path.read_bytes() for path in files}
    for _ in range(times):
        path = files[rng.integers(len(files))]
        path.write_bytes(mutated(kept[path], rng))
        if forged:
            trusted(folder)
        try:
            found = Detector.load(folder).decision_matrix(rows)
            counts["same" if np.array_equal(found, expected) else "other"] += 1
        except UserError:
            counts["refused"] += 1
        for file, content in kept.items():
            file.write_bytes(content)
    return counts


def save(name: str, rows: tuple, folder: Path) -> None:
    """Train a small detector."""
    detector = make(name)
    if name == "IsolationForest":
        detector.set_params(n_estimators=3)
    detector.fit(*rows).calibrate(rows[0]).save(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_mutations_of_model_files(tmp_path, train_rows, name):
    save(name, train_rows, tmp_path)
    counts = mutate(tmp_path, train_rows[0][:20], times=60, seed=1, forged=False)
    assert counts["other"] == 0
    assert counts["refused"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_mutations_with_forged_checksums(tmp_path, train_rows, name):
    """Nothing but a UserError or scores, though the checksums agree."""
    save(name, train_rows, tmp_path)
    counts = mutate(tmp_path, train_rows[0][:20], times=60, seed=2, forged=True)
    assert sum(counts.values()) == 60
