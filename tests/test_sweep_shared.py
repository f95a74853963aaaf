"""Sweeps that share work: on one folder, on a cluster, with workers and sweeps that die."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from libs.experiments import sweeps
from libs.utils.errors import UserError

ROOT = Path(__file__).parent.parent
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
name = f"{Path(__file__).stem}-{sys.argv[1]}"
with open("began", "a") as file:
    print(name, os.environ["OMP_NUM_THREADS"], os.environ.get("CUDA_VISIBLE_DEVICES"),
          os.getppid(), file=file)
while Path(f"hold-{name}").exists():
    time.sleep(0.02)
if Path(f"kill-{name}").exists():
    Path(f"kill-{name}").unlink()
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.2)
with open("ended", "a") as file:
    print(name, file=file)
"""
CELLS = {f"do_{name}-{seed}" for name in ("one", "two") for seed in (1, 2, 3)}


@pytest.fixture
def house(tmp_path):
    """A folder with sweep.py and two scripts that note when they begin and end."""
    (tmp_path / "sweep.py").symlink_to(ROOT / "sweep.py")
    for name in ("one", "two"):
        (tmp_path / f"do_{name}.py").write_text(SCRIPT)
    return tmp_path


def start(house: Path, *words, **environment) -> subprocess.Popen:
    """Sweep over two scripts and three seeds."""
    command = [sys.executable, str(house / "sweep.py"), "--data_sets", "one", "two"]
    command += ["--seeds", "1", "2", "3", "--log_path", "logs", *map(str, words)]
    return subprocess.Popen(
        command,
        cwd=house,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=300)
    return out


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("nothing happened for a minute")


@pytest.mark.slow
def test_two_sweeps_share_the_cells(house):
    """Each cell runs once, in one of the two; both tell of all."""
    sweeps = [start(house, "--jobs", 2) for _ in range(2)]
    outs = [finish(sweep) for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], outs
    assert sorted(lines(house / "ended")) == sorted(CELLS)
    assert all(out.count(" ok ") + out.count("was there") == 6 for out in outs)
    assert sum(out.count(" ok ") for out in outs) == 6


@pytest.mark.slow
def test_shares_of_the_machine(house):
    """Two cells at a time have a GPU each; all have the threads that were asked for."""
    out = finish(start(house, "--jobs", 2, "--threads", 3, CUDA_VISIBLE_DEVICES="4,7"))
    began = [line.split() for line in lines(house / "began")]
    assert {threads for _, threads, _, _ in began} == {"3"}, out
    assert {gpu for _, _, gpu, _ in began} == {"4", "7"}


@pytest.mark.slow
def test_a_killed_cell_costs_only_itself(house):
    """It is reported; the next start runs it, and nothing else, again."""
    (house / "kill-do_one-2").touch()
    first = start(house, "--jobs", 2)
    out = finish(first)
    assert first.returncode == 1
    assert "exit code -9" in out
    assert set(lines(house / "ended")) == CELLS - {"do_one-2"}
    again = start(house)
    assert finish(again).count("was there") == 5
    assert again.returncode == 0
    assert sorted(lines(house / "ended")) == sorted(CELLS)


@pytest.mark.slow
def test_a_killed_sweep_is_taken_over(house):
    """Everything of it dies at once; a waiting sweep runs what it had begun."""
    (house / "hold-do_one-1").touch()
    first = start(house)
    wait_for(lambda: lines(house / "began"))
    second = start(house)
    wait_for(lambda: set(lines(house / "ended")) == CELLS - {"do_one-1"})
    assert second.poll() is None  # it waits
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (house / "hold-do_one-1").unlink()
    assert finish(second).count(" ok ") == 6
    assert sorted(lines(house / "ended")) == sorted(CELLS)


@pytest.mark.slow
def test_a_killed_sweep_goes_on(house):
    """It is killed again and again; started anew, it repeats nothing that had ended."""
    for seed in (1, 2, 3):
        hold = house / f"hold-do_two-{seed}"
        hold.touch()
        sweep = start(house, "--jobs", 2)
        wait_for(lambda name=f"do_two-{seed}": name in " ".join(lines(house / "began")))
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.wait()
        hold.unlink()
    last = start(house)
    assert finish(last).count("was there") >= 3
    assert last.returncode == 0
    ended = lines(house / "ended")
    assert set(ended) == CELLS
    assert len(ended) <= len(CELLS) + 3  # what ran beside the killed cells may have ended unnoted


def test_two_cells_share_nothing_but_their_lock(tmp_path):
    """A cell whose lock is held is left to its owner, and looked at again."""
    (tmp_path / "do_x.py").write_text("print(1)")
    (cell,) = sweeps.cells(tmp_path, ["x"], [1], "test", [], [])
    sweep = sweeps.Sweep(tmp_path)
    with FileLock(tmp_path / ".x-1-test.lock"):
        assert sweep.run_cell(cell) is None
    assert sweep.run_cell(cell).reason == ""


@pytest.mark.parametrize("scheduler", ["", "tcp://127.0.0.1:9"])
def test_no_scheduler(tmp_path, monkeypatch, scheduler):
    monkeypatch.setattr(sweeps, "PATIENCE", 0.2)
    sweep = sweeps.Sweep(tmp_path, backend="dask", scheduler=scheduler)
    with pytest.raises(UserError, match="no dask scheduler answers there"):
        sweep.run([])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A dask scheduler and two workers on loopback."""
    folder = tmp_path_factory.mktemp("cluster")
    words = ["--scheduler-file", str(folder / "scheduler.json")]
    dask = [sys.executable, "-m", "dask"]
    host = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*dask, "worker", *words, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    worker += ["--host", "127.0.0.1", "--local-directory", str(folder)]
    with open(folder / "log", "w") as log:
        commands = [[*dask, "scheduler", *words, *host], worker, worker]
        processes = [subprocess.Popen(c, cwd=ROOT, stdout=log, stderr=log) for c in commands]
    wait_for(lambda: (folder / "log").read_text().count("Registered to") == 2)
    address = json.loads((folder / "scheduler.json").read_text())["address"]
    yield address, processes[1:]
    for process in processes:
        process.kill()
        process.wait()


OWN_SCRIPT = """
import sys
import numpy as np
from pathlib import Path
seed, place = int(sys.argv[1]), Path(sys.argv[sys.argv.index("--result_path") + 1])
name = Path(__file__).stem
(place / name).mkdir(parents=True, exist_ok=True)
np.save(place / name / f"{seed}.npy", np.random.default_rng(seed).random(9))
"""


@pytest.mark.slow
def test_a_cluster_gives_the_same_files(cluster, house):
    """Two data sets, two seeds: cells here and in dask's workers leave the same numbers."""
    for name in ("own", "other"):
        (house / f"do_{name}.py").write_text(OWN_SCRIPT)
    crews = {"here": ["--jobs", "2"], "dask": ["--backend", "dask", "--scheduler", cluster[0]]}
    for name, words in crews.items():
        command = [sys.executable, "sweep.py", "--data_sets", "other", "own", *words]
        command += ["--seeds", "1", "2", "--threads", "1", "--log_path", f"{name}/logs", "--"]
        command += ["--result_path", f"{name}/r"]
        done = subprocess.run(command, cwd=house, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(" ok ") == 4
    crews = {name: house / name / "r" for name in crews}
    here, dask = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.npy")} for f in crews.values()
    )
    assert len(here) == 4
    assert here == dask


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster(cluster, house):
    """Its cell is run by the other worker; nothing else is lost."""
    address, workers = cluster
    (house / "hold-do_one-1").touch()
    sweep = start(house, "--backend", "dask", "--scheduler", address)
    wait_for(lambda: "do_one-1" in " ".join(lines(house / "began")))
    (owner,) = [int(x.split()[-1]) for x in lines(house / "began") if x.startswith("do_one-1 ")]
    (victim,) = [worker for worker in workers if worker.pid == owner]
    victim.kill()
    victim.wait()
    (house / "hold-do_one-1").unlink()
    out = finish(sweep)
    assert sweep.returncode == 0, out
    assert out.count(" ok ") == 6
    assert set(lines(house / "ended")) == CELLS
