"""Sweeps: all cells run, what ended well is skipped, failures are listed with their reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from libs.experiments import sweeps as sweeping
from libs.utils.errors import UserError

ROOT = Path(__file__).parent.parent
QUICK = "--n_epochs 1 --normal 0 1 --known 2 --methods Autoencoder".split()


def sweep(folder: Path, *words) -> subprocess.CompletedProcess:
    places = ["--model_path", str(folder / "m"), "--result_path", str(folder / "r")]
    command = [sys.executable, "sweep.py", "--log_path", str(folder / "logs"), *words]
    command += ["--", *QUICK, *places]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_two_seeds_two_jobs_then_skipped(tmp_path):
    words = "--data_sets digits --seeds 706 1 --jobs 2".split()
    done = sweep(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("r/digits/a3-e1/*/*/test/known.metric.csv"))) == 2
    assert done.stdout.count(" ok ") == 2
    again = sweep(tmp_path, *words)
    assert again.stdout.count("was there") == 2


def test_failures_are_listed(tmp_path):
    (tmp_path / "sweep.toml").write_text('data_sets = ["digits"]\nseeds = [1]\nbudgets = [9999]\n')
    done = sweep(tmp_path, "--toml", str(tmp_path / "sweep.toml"))
    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "exit code 2" in done.stdout


def test_wrong_settings(tmp_path):
    with pytest.raises(UserError, match=r"no script do_nothing\.py; expected some of census"):
        sweeping.cells(ROOT, ["nothing"], [1], "test", [], [])
    assert "nothing to run: give --data_sets and --seeds" in sweep(tmp_path).stderr
    (tmp_path / "s.toml").write_text("seed = 1")
    assert "unknown setting seed" in sweep(tmp_path, "--toml", str(tmp_path / "s.toml")).stderr


def test_cells_of_a_protocol():
    """The protocol is handed to the script, and its cells are no other protocol's."""
    (cell,) = sweeping.cells(ROOT, ["covtype"], [110], "test", [5], ["--override"], "argue")
    (plain,) = sweeping.cells(ROOT, ["covtype"], [110], "test", [5], ["--override"])
    words = "110 test --protocol argue --n_train_anomalies 5 --override".split()
    assert cell.command == (str(ROOT / "do_covtype.py"), *words)
    assert (cell.name, plain.name) == ("covtype-argue-110-test", "covtype-110-test")
