"""The command lines that the original READMEs print: as printed, on tiny data, or parsed."""

import os
import re

import pandas as pd
import pytest
from documents import check_accepted, python_calls
from processes import ROOT, Started
from test_image_scripts import write_images

from libs.architecture.target import digit_classifier

COMMANDS = """
python ./do_mnist.py 2409 val
python ./do_mnist.py 2409 val --use_vae 1
python ./do_mnist_emnist.py 2409 val -target_path ./models/mnist_cnn.keras
python ./evaluate_models.py 2409 --folder_suffix _2409
python ./evaluate_models.py 2409 --folder_suffix _2409 --use_vae 1
python ./evaluate_results.py --subfolder all_results
"""
"""A3's, which run."""
OTHERS = """
conda env create python=3.7 --name A3 --file ./requirements.yml
virtualenv -p python3 A3
source A3/bin/activate
pip install -r requirements.txt
docker build -t r2ad2 ./docker/
docker run --gpus 1 -it --rm -v ~/path/to/r2ad2/:/app/ -v ~/.keras:/root/.keras r2ad2
python3 ./do_mnist.py 123 val
python3 evaluate_results.py 110 210 310 410 510 --p_pollution 0.0 --n_anomalies 100 \
--p_name wilcoxon --show_stddev 1
docker build -t argue ./docker/
docker run --gpus 1 -it --rm -v ~/path/to/argue/:/app/ -v ~/.keras:/root/.keras argue
python ./do_mnist.py 123 val
python3 evaluate_results.py 110 210 310 410 510 610 710
python3 train.py
python3 app/backend/app.py
"""
"""What else the four READMEs print."""
BRIEFLY = """
import runpy, sys
from libs.detectors.components import keys_of
from libs.experiments import result_files
from libs.experiments.protocols import a3

SMALL = {"epochs": 1, "alarm_dims": (20, 10), "n_estimators": 5}
published = a3.a3_methods

def brief(*args, target=None, **settings):
    methods = published(*args, target=target, **settings)
    methods.pop("HistGradientBoosting", None)  # a minute on images
    if target:  # of another network alone; the rest is as without
        methods = {name: methods[name] for name in ("IsolationForest", "A3")}
    for method in methods.values():
        for name, small in SMALL.items():
            method.set_params(**dict.fromkeys(keys_of(method, name), small))
    return methods

a3.a3_methods = brief
result_files.roc_picture = lambda path, *_: path.touch()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script with small methods, trained for one epoch; its words stay as printed."""
TABLE = (ROOT / "docs/printed-commands.md").read_text()
ROWS = re.findall(r"^\| (`.*) \| (.*) \|$", TABLE, re.MULTILINE)


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


@pytest.mark.slow
@pytest.mark.xdist_group("printed commands")
def test_every_printed_command(house):
    """All end well; the last one tells mean, standard deviation and count of every run."""
    environment = {k: v for k, v in os.environ.items() if k != "A3_DATA"}
    for command in COMMANDS.strip().splitlines():
        code, out, err = Started(["-c", BRIEFLY, *command.split()[1:]], house, environment).finish()
        assert code == 0, command + out + err
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
    for method in ("A3", "Autoencoder", "DAGMM", "DevNet", "IsolationForest", "VAE"):
        assert len(list(house.glob(f"models/mnist-sample/a3/2409/*/{method}"))) == 2
    assert "F1@0.01_mean" in table


@pytest.mark.slow
def test_a_wrong_suffix_is_named(house):
    words = ["./evaluate_models.py", 2409, "--folder_suffix", "_706"]
    code, _, err = Started(words, house).finish()
    assert code == 2
    assert "expected _2409" in err


def test_the_table_has_every_printed_command():
    """And every script that deepad names."""
    printed = " ".join(old for old, _ in ROWS)
    names = "train.py kdd_data_gen.py app/backend/app.py cml/cml_build.py cml/cml_servemodel.py"
    for command in [*COMMANDS.strip().splitlines(), *OTHERS.strip().splitlines()]:
        assert f"`{command}`" in printed, command
    assert all(name in printed for name in (*names.split(), "cml/install_deps.py"))


@pytest.mark.parametrize(("old", "new"), ROWS)
def test_what_the_table_says_parses(old, new, monkeypatch):
    """The printed command, or what takes its place."""
    for code in re.findall("`([^`]+)`", old if new.startswith("as printed") else new):
        for words in python_calls(code):
            check_accepted(words, monkeypatch)


def test_the_image_is_built_and_started_as_printed():
    """Its context is docker/, so it copies nothing; the sources lie in /app; it starts a shell."""
    lines = (ROOT / "docker/Dockerfile").read_text().splitlines()
    assert not any(line.startswith(("COPY", "ADD", "ENTRYPOINT")) for line in lines)
    assert {"WORKDIR /app", 'CMD ["bash"]'} <= set(lines)
