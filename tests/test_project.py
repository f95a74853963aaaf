"""The project's own order: pins, import arrows, sizes, and imports without side effects."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT, Started

FOLDERS = ("*.py", "libs/**/*.py", "baselines/*.py", "app/*.py", "cml/*.py")
SOURCES = sorted(
    {p for pattern in FOLDERS for p in ROOT.glob(pattern)} - {ROOT / "libs/__init__.py"}
)


def _pins(text: str) -> set[str]:
    return {pin.replace("[and-cuda]", "") for pin in re.findall(r"[\w\[\]-]+==[\w.]+", text)}


def test_pins_are_the_same_everywhere():
    required = _pins((ROOT / "requirements.txt").read_text())
    assert len(required) == len((ROOT / "requirements.txt").read_text().split())
    assert _pins((ROOT / "requirements.yml").read_text()) == required
    assert _pins((ROOT / "docker/Dockerfile").read_text()) == required
    cuda = re.search(r"^cuda = (.*)$", (ROOT / "pyproject.toml").read_text(), re.M)
    assert _pins(cuda[1]) <= required


def test_each_requirement_has_its_line_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    extra = re.search(r"^dashboard = (.*)$", (ROOT / "pyproject.toml").read_text(), re.M)
    for pin in _pins((ROOT / "requirements.txt").read_text()) | _pins(extra[1]):
        assert re.search(rf"^\| {re.escape(pin.split('==')[0])} \|", readme, re.M), pin


LAYERS = (
    ("scripts", "do_ evaluate_ explain score sweep dashboard keras_mnist parameter_mnist cml"),
    ("app", "app"),
    ("reporting", "libs.reporting"),
    ("experiments", "libs.experiments libs.ExperimentWrapper"),
    ("methods", "libs.A3 libs.R2AD2 libs.R2AD2Sketch libs.ARGUE libs.Ensemble"),
    ("targets", "libs.targets"),
    ("baselines", "baselines"),
    ("detectors", "libs.detectors"),
    ("networks", "libs.training libs.architecture"),
    ("datasets", "libs.datasets libs.DataHandler"),
    ("plotting", "libs.plotting libs.Metrics"),
    ("utils", "libs.utils"),
)
"""The rooms from the top of the house to its ground. Imports point down, never up or sideways but
within a room."""


def _layer(module: str) -> int:
    """Number of a module's room, counted from the top."""
    names = [*module.split("."), ""]
    for layer, (_, rooms) in enumerate(LAYERS):
        for room in rooms.split():
            if room.endswith("_") and names[0].startswith(room):
                return layer
            if names[: len(room.split("."))] == room.split("."):
                return layer
    raise AssertionError(f"{module} has no place in LAYERS")


def _imports(path: Path) -> set[str]:
    """Modules of the project that a file imports, with the names taken from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{a.name}" for a in node.names}
    rooms = {"libs", "baselines", "app"}
    return {m for m in found if m.split(".")[0] in rooms or m.startswith("do_")}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", SOURCES, ids=_module)
@pytest.mark.slow
def test_import_arrows_point_down(path):
    """Also those within functions."""
    layer = _layer(_module(path))
    for imported in _imports(path):
        assert _layer(imported) >= layer, f"{_module(path)} imports {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=_module)
@pytest.mark.slow
def test_sizes(path):
    """A module of 350 lines, a function of 60 and a script of 120 are the largest."""
    text = path.read_text()
    long = {path.relative_to(ROOT).as_posix(): 350 - text.count("\n")}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            long[node.name] = 60 - (node.end_lineno - node.lineno + 1)
    assert not {name for name, left in long.items() if left < 0}
    if path.name.startswith("do_"):
        assert text.count("\n") <= 120


def test_folders_are_small():
    folders = {path.parent for path in SOURCES} - {ROOT}
    for folder in folders:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 20, folder


def test_imports_have_no_side_effects(tmp_path):
    """Importing seeds nothing, prints nothing, parses nothing, touches no disk."""
    modules = [_module(p) for p in SOURCES]
    code = f"""
import sys, random, os, io, contextlib
sys.dont_write_bytecode = True
sys.path.insert(0, {str(ROOT)!r})
from libs.utils.runtime import start_tensorflow
start_tensorflow()
import keras, pandas, sklearn.ensemble, scipy.stats, skops.io, rich.progress, matplotlib
import importlib, numpy as np
states = random.getstate(), np.random.get_state()[1].tolist()
out, err = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    for module in {modules!r}:
        importlib.import_module(module)
assert (random.getstate(), np.random.get_state()[1].tolist()) == states, "seeded"
assert not out.getvalue() + err.getvalue(), out.getvalue() + err.getvalue()
assert not os.listdir("."), os.listdir(".")
"""
    code, _, err = Started(["-c", code, "--no-such-option"], tmp_path).finish()
    assert code == 0, err


@pytest.mark.slow
def test_data_handling_imports_no_tensorflow():
    code = (
        "import sys, importlib; import libs.DataHandler;"
        "from libs.datasets.registry import DATA_SETS;"
        "[importlib.import_module(f'libs.datasets.{name}') for name in DATA_SETS];"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow
def test_the_python_of_the_docs_runs(tmp_path, monkeypatch, train_rows):
    """The code of docs/python.md, as printed, on toy rows."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    assert len(blocks) == 3
    x, y = train_rows
    names = {"x": x, "y": y, "x_new": x[:7], "x_val": x[:200]}
    for code in blocks:
        exec(code, names)
    assert (tmp_path / "forest/manifest.json").is_file()
    assert (tmp_path / "model/manifest.json").is_file()
    assert names["a3"].predict(x[:7]).shape == (7,)
    assert (
        names["train_labels"].sum() == 23 == (names["train_scores"] > names["clf"].threshold_).sum()
    )
    assert names["probabilities"].shape == (7, 2)


@pytest.fixture(scope="module")
def made_again(tmp_path_factory):
    """What `make tables` writes, from the result files of the repository."""
    folder = tmp_path_factory.mktemp("tables")
    ignored = shutil.ignore_patterns("digits", "*.png", "*.npz")
    shutil.copytree(ROOT / "results", folder / "results", ignore=ignored)
    words = ["--in_path", "results", "--out_path", "out", "--docs", "docs"]
    code, _, err = Started([ROOT / "evaluate_results.py", *words], folder).finish()
    assert code == 0, err
    return folder


@pytest.mark.slow
def test_tables_are_those_of_the_results(made_again):
    """`make tables` would change nothing: every number comes from the result files."""
    for name in ("summary.csv", "summary.md", "summary.tex"):
        assert (made_again / "out" / name).read_bytes() == (ROOT / "results" / name).read_bytes()
    pages = {path.name: path.read_bytes() for path in (made_again / "docs").iterdir()}
    assert pages == {path.name: path.read_bytes() for path in (ROOT / "docs/results").iterdir()}


def test_pages_of_results_fit_a_screen():
    for page in (ROOT / "docs/results").glob("*.md"):
        for line in page.read_text().splitlines():
            assert len(line) <= 130 or not line.startswith("|"), f"{page.name}: {line}"
        assert not re.search(r"protocol [\w-]+-e\d", page.read_text())  # too short to say anything


def test_results_are_small():
    """Git keeps ten megabytes of them at most: no ROC points, few pictures."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "results"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    paths = [ROOT / name for name in listed.stdout.split("\0")[:-1]]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 10 * 2**20
    assert not [path for path in paths if path.name.endswith((".roc.csv", ".svg", "report.html"))]
