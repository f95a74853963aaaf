"""The command lines that A3's original README prints, as printed, on tiny data."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from test_image_scripts import write_images
from test_scripts import ROOT

from libs.architecture.target import digit_classifier

COMMANDS = """
python ./do_mnist.py 2409 val
python ./do_mnist.py 2409 val --use_vae 1
python ./do_mnist_emnist.py 2409 val -target_path ./models/mnist_cnn.keras
python ./evaluate_models.py 2409 --folder_suffix _2409
python ./evaluate_models.py 2409 --folder_suffix _2409 --use_vae 1
python ./evaluate_results.py --subfolder all_results
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A folder with the scripts, and data just large enough for 100 known anomalies."""
    folder = tmp_path_factory.mktemp("house")
    for script in ROOT.glob("*.py"):
        (folder / script.name).symlink_to(script)
    (folder / "data").mkdir()
    digits = {label: 55 if label in (0, 1, 6, 7) else 4 for label in range(10)}
    letters = {label: 22 if label < 6 or label > 21 else 1 for label in range(1, 27)}
    write_images(folder / "data/mnist/mnist.npz", digits)
    write_images(folder / "data/EMNIST/emnist-letters.npz", letters)
    (folder / "models").mkdir()
    digit_classifier().save(folder / "models/mnist_cnn.keras")
    return folder


def test_every_printed_command(house):
    """All end well; the last one tells mean, standard deviation and count of every run."""
    environment = {k: v for k, v in os.environ.items() if k != "A3_DATA"}
    for command in COMMANDS.strip().splitlines():
        words = [sys.executable, *command.split()[1:]]
        done = subprocess.run(words, cwd=house, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert (house / "results/all_results_vae/all_results_2409.csv").is_file()
    table = pd.read_csv(house / "results/all_results/summary.csv")
    for run in ("A3-n5", "A3-n100", "A3-vae-n0", "DAGMM", "DevNet-n25", "IsolationForest"):
        rows = table[table["run"] == run]
        assert len(rows), run
        assert rows["AUC_mean"].between(0, 1).all()
        assert (rows["AUC_count"] == 1).all()
        assert rows["AUC_std"].isna().all()
        assert (rows["updates"] > 0).all()
    assert {"mnist-sample", "mnist_emnist-sample"} == set(table["data_set"])
    assert "F1@0.01_mean" in table


def test_a_wrong_suffix_is_named(house):
    words = [sys.executable, "./evaluate_models.py", "2409", "--folder_suffix", "_706"]
    done = subprocess.run(words, cwd=house, capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected _2409" in done.stderr
