"""Scripts as people call them: whole runs, kills, neighbours, wrong input, printed tables."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import ROOT, run, start
from test_datasets import LABELS, LINE, write_nslkdd

SCRIPTS = sorted(p.name for p in ROOT.glob("*.py"))
EXPERIMENT = ["--normal", 0, 1, "--known", 2, "--unknown", 3]
QUICK = ["--protocol", "a3", "--n_epochs", 2, *EXPERIMENT, "--n_train_anomalies", 5, 10]
QUICK += ["--precision", "float32"]  # without oneDNN, as tests run, bfloat16 is slow


def scores(folder: Path) -> dict[str, np.ndarray]:
    path = next((folder / "results").glob("*/*/*/*/test/scores.npz"))
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder in which do_digits ran once from start to end, as people start it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    places = ["--model_path", folder / "models", "--result_path", folder / "results"]
    command = [sys.executable, "do_digits.py", 706, "test", *QUICK, *places]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


@pytest.mark.slow
def test_output_is_quiet_and_readable(undisturbed):
    _, out, err = undisturbed
    assert "A3-n5" in out
    assert "known.roc.png" in out
    assert "epoch" not in err.replace("epochs", "")
    assert "Traceback" not in out + err
    assert all(len(line) <= 100 or line.startswith("ROC pictures in") for line in out.splitlines())


@pytest.mark.slow
def test_kill_at_any_point(undisturbed, tmp_path):
    """Killed at every stage and started again: the same bits, and no finished training repeated."""
    stages = [
        "Autoencoder/.lock",  # a training, a run that is whole, and one that is being written
        "Autoencoder/run",
        "A3/.tmp-*",
        "A3/n5+10/.tmp-*",  # its scores, and what follows them
        "A3/n5+10/scores-test.npz",
    ]
    finished: dict[Path, int] = {}
    killed = 0
    for stage in stages:
        process = start("do_digits.py", 706, "test", *QUICK, folder=tmp_path)
        while process.is_alive() and not list(tmp_path.glob(f"models/*/*/*/*/{stage}")):
            time.sleep(0.005)
        process.kill()
        killed += process.finish()[0] == -signal.SIGKILL
        for manifest in tmp_path.glob("models/*/*/*/*/*/[!.]*/manifest.json"):
            assert manifest.stat().st_mtime_ns == finished.get(
                manifest, manifest.stat().st_mtime_ns
            ), stage
            finished[manifest] = manifest.stat().st_mtime_ns
    assert killed >= 3  # the others passed too fast to be caught
    code, _, err = start("do_digits.py", 706, "test", *QUICK, folder=tmp_path).finish()
    assert code == 0, err
    for manifest, written in finished.items():
        assert manifest.stat().st_mtime_ns == written
    expected, found = scores(undisturbed[0]), scores(tmp_path)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(values, found[name])
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.slow
def test_two_scripts_on_one_folder(undisturbed, tmp_path):
    words = (*QUICK, "--methods", "Autoencoder", "IsolationForest")
    processes = [start("do_digits.py", 706, "test", *words, folder=tmp_path) for _ in range(2)]
    for process in processes:
        code, _, err = process.finish()
        assert code == 0, err
    expected, found = scores(undisturbed[0]), scores(tmp_path)
    assert {"Autoencoder", "IsolationForest"} < set(found)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.slow
def test_evaluation_of_saved_models(undisturbed, tmp_path, capsys):
    """The same numbers without training; then one table over two seeds."""
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed[0], folder)
    before = scores(folder)
    shutil.rmtree(folder / "results")
    assert run("evaluate_models.py", 706, folder=folder) == 0
    assert "largest difference to the kept scores: 0" in capsys.readouterr().out
    for name, values in before.items():
        np.testing.assert_array_equal(values, scores(folder)[name])
    table = pd.read_csv(folder / "results/all_results/all_results_706.csv")
    assert len(table) == 3 * 4
    first = undisturbed[0].glob("results/*/*/*/*/test/known.metric.csv")
    kept = pd.read_csv(next(first), index_col=0)["AUC"]
    again = table[table["view"] == "known"].set_index("run")["AUC"]
    pd.testing.assert_series_equal(again, kept, check_names=False, atol=1e-6)

    words = (*QUICK, "--methods", "IsolationForest")
    assert run("do_digits.py", 1, "test", *words, folder=folder) == 0
    capsys.readouterr()
    assert run("evaluate_results.py", folder=folder) == 0
    out = capsys.readouterr().out
    summary = pd.read_csv(folder / "results/summary.csv")
    row = summary[(summary["view"] == "known") & (summary["run"] == "IsolationForest")].iloc[0]
    paths = folder.glob("results/digits/*/*/*/test/known.metric.csv")
    aucs = [pd.read_csv(p, index_col=0).loc["IsolationForest", "AUC"] for p in paths]
    assert row["AUC_mean"] == pytest.approx(np.mean(aucs), abs=1e-5)
    assert row["AUC_std"] == pytest.approx(np.std(aucs, ddof=1), abs=1e-5)
    assert row["AUC_count"] == 2
    assert "±" in out
    assert "**" in (folder / "results/summary.md").read_text()
    assert r"\textbf{" in (folder / "results/summary.tex").read_text()
    assert run("evaluate_results.py", 706, folder=folder) == 0
    assert pd.read_csv(folder / "results/summary.csv")["AUC_count"].max() == 1


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.slow
def test_help_is_at_once(script):
    """Help comes without TensorFlow, and fits the terminal."""
    code = (
        "import sys, runpy; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'tensorflow', 'pandas', 'sklearn'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, str(ROOT / script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


@pytest.fixture(scope="module")
def tiny_nslkdd(tmp_path_factory):
    lines = [LINE.format(label=label) for label in LABELS * 40 + ["normal"] * 200]
    rng = np.random.default_rng(0)
    lines = [line.replace(",181,", f",{rng.integers(1000)},") for line in lines]
    return write_nslkdd(tmp_path_factory.mktemp("nslkdd"), lines, lines)


@pytest.mark.slow
@pytest.mark.usefixtures("without_roc_pictures")
def test_nslkdd_script(tiny_nslkdd, tmp_path, capsys):
    """The script's own experiments and budgets, on a sample, which is named so; A3 on one."""
    words = [3003, "val", "--n_epochs", 1, "--data_path", tiny_nslkdd]
    words += ["--n_train_anomalies", 5, 25, "--methods"]
    assert run("do_nslkdd.py", *words, "KNN", folder=tmp_path) == 0
    assert "nslkdd-sample, protocol a3-e1" in capsys.readouterr().out
    results = tmp_path / "results/nslkdd-sample/a3-e1/3003"
    first = "normal_known_DoS+Probe_unknown_R2L+U2R"
    assert {p.name for p in results.iterdir()} == {first, "normal_known_R2L+U2R_unknown_DoS+Probe"}
    one = "--normal normal --known DoS Probe --unknown R2L U2R".split()
    words = [*words, "A3", "--precision", "bfloat16", *one]
    assert run("do_nslkdd.py", *words, folder=tmp_path) == 0
    table = pd.read_csv(results / first / "val/known.metric.csv", index_col=0)
    assert set(table.index) == {"A3-n5", "A3-n25", "Autoencoder", "KNN"}
    assert set(table.index[table["precision"] == "bfloat16"]) == {"A3-n5", "A3-n25"}
    assert (table["status"] == "ok").all()


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a script that must end with exit code 2: its one message."""

    def refused(*words) -> str:
        assert run(*words, folder=tmp_path) == 2
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return err

    return refused


@pytest.mark.slow
def test_wrong_input_is_one_clear_message(tmp_path, tiny_nslkdd, refused):
    digits = ("do_digits.py", 706, "test")
    experiment = ("--normal", 0, "--known", 0)
    assert "overlapping class lists: 0" in refused(*digits, *experiment)
    err = refused(*digits, "--normal", 0, "--known", "x")
    assert "digits has no class x" in err
    err = refused(*digits, "--n_train_anomalies", 9999)
    assert "9999 known anomalies wanted" in err
    err = refused("do_nslkdd.py", 1, "test", "--data_path", tmp_path)
    assert "raw file not found" in err
    broken = shutil.copytree(tiny_nslkdd, tmp_path / "broken")
    with open(broken / "NSL-KDD/KDDTest+.txt", "a") as file:
        file.write(LINE.format(label="normal").replace("5450", "?"))
    err = refused("do_nslkdd.py", 1, "test", "--data_path", broken)
    assert "KDDTest+.txt, line 401, column 'dst_bytes'" in err
    (tmp_path / "models/digits/a3/6/e/A3").mkdir(parents=True)
    assert "no finished run of seed 6" in refused("evaluate_models.py", 6)
    damaged = tmp_path / "results/digits/a3/1/e/test/experiment.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    assert "damaged" in refused("evaluate_results.py")
    damaged.unlink()
    assert "no saved models of seed 5" in refused("evaluate_models.py", 5)
    assert "no test results" in refused("evaluate_results.py")
    assert "invalid choice: 'tset'" in refused("do_digits.py", 1, "tset")


@pytest.mark.slow
def test_folders_that_cannot_be_written(tmp_path, refused):
    (tmp_path / "models").write_text("a file where a folder should be")
    assert "cannot write" in refused("do_digits.py", 706, "test", *QUICK)
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        (tmp_path / "models").unlink()
        (tmp_path / "models").symlink_to(tmp_path / "locked")
        assert "cannot write" in refused("do_digits.py", 706, "test", *QUICK)


@pytest.mark.slow
def test_full_disk(tmp_path):
    """Files may not grow beyond 20 kB, as on a disk that is nearly full."""
    words = ("do_digits.py", 706, "test", *QUICK, "--methods", "Autoencoder")
    code, out, err = start(*words, folder=tmp_path, largest_file=20_000).finish()
    assert code == 2, out + err
    assert "Traceback" not in out + err
    assert "cannot write" in err
    assert "finished trainings are kept" in err
    code, _, err = start(*words, folder=tmp_path).finish()
    assert code == 0, err
