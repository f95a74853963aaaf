"""CONTRIBUTING.md, followed to the letter in a copy of the repository: what it adds trains."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import ROOT, Started

EXAMPLE = re.compile(r"^`([\w./]+)`\n\n```(python|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

RUNS = """
import runpy, sys
for words in (["--protocol", "toy"], ["--methods", "MedianDistance", "--n_train_anomalies", "5"]):
    sys.argv = ["do_toy.py", "1", "test", *words]
    try:
        runpy.run_path("do_toy.py", run_name="__main__")
    except SystemExit as end:
        assert end.code == 0, words
"""


def changed(text: str, hunk: str) -> str:
    """Text after a hunk of a diff; its lines without + must stand in the text once."""
    before, after = (
        "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] != left_out)
        for left_out in "+-"
    )
    assert text.count(before) == 1, f"{text.count(before)} times in the file: {before}"
    return text.replace(before, after)


def follow(folder: Path) -> list[str]:
    """Do what CONTRIBUTING.md says in a folder; the files that were written."""
    files = []
    for name, kind, block in EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text()):
        text = block
        if kind == "diff":
            text = (folder / name).read_text()
            for hunk in block.split("@@\n"):
                text = changed(text, hunk)
        (folder / name).write_text(text)
        files.append(name)
    return files


@pytest.mark.slow
def test_the_examples_train(tmp_path):
    """A data set, a method and a protocol, in one process."""
    for name in ("libs", "baselines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = follow(tmp_path)
    assert len(set(files)) == 8
    lint = [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", *files]
    done = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

    rows = np.random.default_rng(0).random((400, 3))
    parts = pd.DataFrame(rows, columns=["length", "width", "weight"])
    parts["kind"] = np.repeat(["good", "bent", "broken"], [300, 60, 40])
    (tmp_path / "data/toy").mkdir(parents=True)
    parts.to_csv(tmp_path / "data/toy/toy.csv", index=False)
    environment = {k: v for k, v in os.environ.items() if k != "A3_DATA"}
    code, out, err = Started(["-c", RUNS], tmp_path, environment).finish()
    assert code == 0, out + err
    for protocol, runs in {
        "toy": {"A3-n5", "Autoencoder", "MedianDistance"},
        "a3": {"MedianDistance"},
    }.items():
        path = next(tmp_path.glob(f"results/toy-sample/{protocol}/1/*/test/transfer.metric.csv"))
        table = pd.read_csv(path, index_col=0)
        assert set(table.index) == runs
        assert (table["status"] == "ok").all()
