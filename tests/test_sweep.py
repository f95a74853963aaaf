"""Sweeps: all cells run, what ended well is skipped, failures are listed with their reason."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from libs.experiments import sweeps
from libs.utils.errors import UserError

ROOT = Path(__file__).parent.parent
SCRIPT = """
import sys
from pathlib import Path
words = sys.argv[1:]
if "9999" in words[words.index("--n_train_anomalies"):][:2]:
    sys.exit(2)
place = Path(words[words.index("--result_path") + 1])
place.mkdir(exist_ok=True)
with open(place / f"{words[0]}-{words[1]}", "a") as file:
    print("ran", file=file)
"""


@pytest.fixture
def house(tmp_path):
    """A folder with sweep.py and a script that takes a moment; test_own_tables starts ours."""
    (tmp_path / "sweep.py").symlink_to(ROOT / "sweep.py")
    (tmp_path / "do_toy.py").write_text(SCRIPT)
    return tmp_path


def sweep(folder: Path, *words) -> subprocess.CompletedProcess:
    """Sweep over the script of `house`."""
    command = [sys.executable, "sweep.py", "--log_path", "logs", *words]
    command += ["--", "--result_path", "r"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_two_seeds_two_jobs_then_skipped(house):
    words = "--data_sets toy --seeds 706 1 --budgets 5 --jobs 2".split()
    done = sweep(house, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok ") == 2
    again = sweep(house, *words)
    assert again.stdout.count("was there") == 2
    for name in ("706-test", "1-test"):
        assert (house / "r" / name).read_text() == "ran\n"


@pytest.mark.slow
def test_failures_are_listed(house):
    (house / "sweep.toml").write_text('data_sets = ["toy"]\nseeds = [1]\nbudgets = [9999]\n')
    done = sweep(house, "--toml", "sweep.toml")
    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "exit code 2" in done.stdout


def test_wrong_settings(tmp_path, house):
    with pytest.raises(
        UserError, match=r"no script do_nothing\.py; expected some of adbench, census"
    ):
        sweeps.cells(ROOT, ["nothing"], [1], "test", [], [])
    assert "nothing to run: give --data_sets and --seeds" in sweep(house).stderr
    (tmp_path / "s.toml").write_text("seed = 1")
    assert "unknown setting seed" in sweep(tmp_path, "--toml", str(tmp_path / "s.toml")).stderr


def test_cells_of_a_protocol():
    """The protocol is handed to the script, and its cells are no other protocol's."""
    (cell,) = sweeps.cells(ROOT, ["covtype"], [110], "test", [5], ["--override"], "argue")
    (plain,) = sweeps.cells(ROOT, ["covtype"], [110], "test", [5], ["--override"])
    words = "110 test --protocol argue --n_train_anomalies 5 --override".split()
    assert cell.command == (str(ROOT / "do_covtype.py"), *words)
    assert (cell.name, plain.name) == ("covtype-argue-110-test", "covtype-110-test")


@pytest.mark.parametrize(
    ("protocol", "names"),
    [
        ("a3", "creditcard digits ids mnist mnist_emnist nslkdd"),
        ("r2ad2", "covtype creditcard darknet doh fmnist ids mammography mnist nslkdd url"),
        ("argue", "census covtype darknet doh emnist fmnist ids mnist nslkdd url"),
        ("deepad", "kdd99"),
    ],
)
@pytest.mark.slow
def test_all_experiments_of_a_paper(protocol, names):
    """One line runs them; the scripts' own parsers take each command line."""
    words = ["--protocol", protocol, "--seeds", "110", "210", "--dry_run"]
    done = subprocess.run(
        [sys.executable, "sweep.py", *words], cwd=ROOT, capture_output=True, text=True
    )
    seeds = [(name, seed) for name in names.split() for seed in (110, 210)]
    expected = [f"python do_{name}.py {seed} test --protocol {protocol}" for name, seed in seeds]
    assert done.stdout.splitlines() == expected, done.stderr


def test_protocols_are_read_without_running_a_script():
    """What the source says is what the imported script offers."""
    for path in ROOT.glob("do_*.py"):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        assert sweeps.read_script(path)[0] == list(getattr(script, "PROTOCOLS", {}))


@pytest.mark.slow
def test_own_tables(tmp_path):
    """Files stand before the seed; each table has cells of its own."""
    table = tmp_path / "flows.csv"
    rng = np.random.default_rng(1)
    lines = [
        f"{a:.3f},{b:.3f},{'dos' if i % 9 == 0 else 'ok'}"
        for i, (a, b) in enumerate(rng.random((300, 2)))
    ]
    table.write_text("\n".join(["a,b,class", *lines]))
    places = ["--model_path", str(tmp_path / "m"), "--result_path", str(tmp_path / "r")]
    words = ["--data_sets", "csv", "--seeds", "1", "--log_path", str(tmp_path / "logs"), "--"]
    words += [str(table), "--label", "class", "--normal", "ok", "--methods", "IsolationForest"]
    done = subprocess.run(
        [sys.executable, "sweep.py", *words, *places], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "csv-flows-1-test" in done.stdout
    assert list(tmp_path.glob("r/csv-flows/best/1/*/test/unknown.metric.csv"))


def test_files_are_for_scripts_that_take_them():
    with pytest.raises(UserError, match=r"do_csv\.py; .* that take no files as the first words"):
        sweeps.cells(ROOT, ["csv"], [1], "test", [], ["--label", "x"])
    with pytest.raises(UserError, match=r"do_digits\.py; expected some of csv: .* take files"):
        sweeps.cells(ROOT, ["digits"], [1], "test", [], ["flows.csv"])


def test_protocols_that_are_not_offered():
    with pytest.raises(
        UserError, match=r"--protocol a4: expected one of a3, argue, best, deepad, r2ad2"
    ):
        sweeps.cells(ROOT, [], [1], "test", [], [], "a4")
    with pytest.raises(UserError, match=r"do_digits\.py; .*: those with protocol argue"):
        sweeps.cells(ROOT, ["digits"], [1], "test", [], [], "argue")


@pytest.mark.parametrize("note", ["", "{", "[1]", "null", '{"command": 1}', "\x00"])
@pytest.mark.slow
def test_a_damaged_note_is_none(tmp_path, note):
    (tmp_path / "do_x.py").write_text("print(1)")
    (cell,) = sweeps.cells(tmp_path, ["x"], [1], "test", [], [])
    (tmp_path / "x-1-test.json").write_text(note)
    (outcome,) = sweeps.Sweep(tmp_path).run([cell])
    assert (outcome.reason, outcome.skipped) == ("", False)
