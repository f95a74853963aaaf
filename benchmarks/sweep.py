"""A sweep of single-threaded cells by two workers, and by one: ``python -m benchmarks.sweep``.

Cells are do_digits.py with one seed each. The goal is at most .55 of one worker's seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time

from benchmarks.measuring import ROOT

GOAL = 0.55


def seconds(jobs: int, seeds: list[int], epochs: int) -> float:
    """Wall seconds of a sweep into a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "sweep.py", "--data_sets", "digits", "--jobs", str(jobs)]
        command += ["--threads", "1", "--log_path", f"{folder}/logs", "--seeds", *map(str, seeds)]
        command += ["--", "--n_epochs", str(epochs), "--model_path", f"{folder}/m"]
        command += ["--result_path", f"{folder}/r"]
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> int:
    """Print both times; fail where two workers miss the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=4, help="default: 4")
    parser.add_argument("--epochs", type=int, default=20, help="of every network (default: 20)")
    args = parser.parse_args()
    seeds = list(range(1, args.cells + 1))
    one, two = (seconds(jobs, seeds, args.epochs) for jobs in (1, 2))
    found = {"one worker": one, "two workers": two, "share": two / one, "goal": GOAL}
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))
    return int(two / one > GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
