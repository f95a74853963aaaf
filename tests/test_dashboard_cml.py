"""Cloudera Machine Learning's files with stubs in its place, and the script's own options."""

import importlib.util
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
METADATA = (ROOT / ".project-metadata.yaml").read_text()


def loaded(path: str):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """Commands that were run, and were not."""
    found = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, check: found.append([*command, check][1:])
    )
    return found


def test_install_takes_the_extra_of_the_project(commands):
    loaded("cml/install.py").main()
    assert commands == [["-m", "pip", "install", "--quiet", "--editable", ".[dashboard]", True]]


def test_build_trains_what_the_environment_names(commands, monkeypatch):
    build = loaded("cml/build.py")
    monkeypatch.setitem(sys.modules, "cmlapi", SimpleNamespace())
    monkeypatch.setattr(build, "application_link", lambda client: "")
    build.main()
    monkeypatch.setenv("A3_TRAIN", "do_csv.py 'my table.csv' 7 test")
    build.main()
    assert commands == [
        ["do_digits.py", "706", "test", True],
        ["do_csv.py", "my table.csv", "7", "test", True],
    ]


class Client:
    """What of Cloudera's client the build asks, and what it was asked."""

    def __init__(self, there=(), engine="ml_runtime"):
        self.there, self.engine, self.asked = there, engine, []

    def list_applications(self, project, search_filter):
        assert (project, json.loads(search_filter)) == ("p1", {"name": "A3 dashboard"})
        return SimpleNamespace(applications=[SimpleNamespace(**a) for a in self.there])

    def get_project(self, project):
        return SimpleNamespace(default_engine_type=self.engine)

    def list_runtimes(self, search_filter):
        images = ("image:1", "image:2") if "Standard" in search_filter else ()
        return SimpleNamespace(runtimes=[SimpleNamespace(image_identifier=i) for i in images])

    def restart_application(self, project, application):
        self.asked.append(("restart", project, application))

    def create_application(self, body, project):
        self.asked.append(("create", project, body))
        return SimpleNamespace(subdomain=body["subdomain"] + "-7")


@pytest.mark.parametrize(
    ("client", "asked", "link"),
    [
        (Client(), {"runtime_identifier": "image:2"}, "https://a3-dashboard-7.cml.example"),
        (Client(engine="legacy_engine"), {"kernel": "python3"}, "a3-dashboard-7.cml.example"),
        (
            Client([{"name": "A3 dashboard", "id": "a9", "subdomain": "mine"}]),
            ("restart", "p1", "a9"),
            "https://mine.cml.example",
        ),
        (Client([{"name": "A3 dashboard 2", "id": "a9", "subdomain": "mine"}]), {}, "-7.cml"),
    ],
)
def test_build_creates_the_application_and_prints_its_link(
    commands, monkeypatch, capsys, client, asked, link
):
    module = SimpleNamespace(default_client=lambda: client, CreateApplicationRequest=dict)
    monkeypatch.setitem(sys.modules, "cmlapi", module)
    monkeypatch.setenv("CDSW_PROJECT_ID", "p1")
    monkeypatch.setenv("CDSW_DOMAIN", "cml.example")
    loaded("cml/build.py").main()
    assert len(commands) == 1
    assert link in capsys.readouterr().out
    ((what, project, body),) = client.asked
    if isinstance(asked, tuple):
        assert (what, project, body) == asked
    else:
        assert (what, project) == ("create", "p1")
        assert body.items() >= ({"script": "dashboard.py", "project_id": "p1"} | asked).items()


def test_build_without_the_client_of_cloudera_says_what_to_do(commands, monkeypatch):
    monkeypatch.setitem(sys.modules, "cmlapi", None)
    with pytest.raises(
        SystemExit, match=r"cmlapi.*is missing: pip install .*dashboard\.py by hand"
    ):
        loaded("cml/build.py").main()
    assert len(commands) == 1  # the models are there


def test_serve_hands_over_to_the_function_of_the_dashboard(tmp_path, monkeypatch):
    from app import predict

    asked = []

    def stub(args, catalog, scoring):
        asked.append((args, catalog.models_root))
        return {"scores": [1.0]}

    monkeypatch.setenv("A3_MODELS", str(tmp_path))
    monkeypatch.setenv("A3_MODEL", "the/one")
    monkeypatch.setattr(predict, "predict", stub)
    monkeypatch.setattr(sys, "path", list(sys.path))
    serve = loaded("cml/serve.py")
    assert serve.predict({"data": [{"a": 1}]}) == {"scores": [1.0]}
    assert serve.predict({"model": "other", "data": []}) == {"scores": [1.0]}
    assert [args["model"] for args, _ in asked] == ["the/one", "other"]
    assert {root for _, root in asked} == {tmp_path}


@pytest.mark.parametrize("args", [None, [], {}, {"data": [{"a": 1}]}])
def test_serve_answers_wrong_arguments_with_a_message(tmp_path, monkeypatch, args):
    monkeypatch.setenv("A3_MODELS", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert loaded("cml/serve.py").predict(args).keys() == {"error"}


def test_what_the_metadata_names_is_there():
    scripts = re.findall(r"(?:script|target_file_path): (\S+)", METADATA)
    assert scripts == ["cml/install.py", "cml/build.py", "cml/serve.py"]
    assert all((ROOT / script).is_file() for script in scripts)
    assert hasattr(loaded("cml/serve.py"), re.search(r"function_name: (\S+)", METADATA)[1])
    labels = re.findall(r"type: (\w+)\n(?:.*\n)*?    entity_label: (\w+)", METADATA)
    assert [kind for kind, label in labels if label == "scores"] == [
        "create_model",
        "build_model",
        "deploy_model",
    ]


@pytest.mark.parametrize(
    ("environment", "port", "hosts"),
    [
        ({}, 8050, []),
        ({"CDSW_READONLY_PORT": "8100"}, 8100, []),
        ({"CDSW_READONLY_PORT": "8100", "CDSW_APP_PORT": "8090"}, 8090, []),
        ({"CDSW_APP_PORT": "8090", "CDSW_DOMAIN": "cml.example"}, 8090, [".cml.example"]),
    ],
)
def test_port_and_names_come_from_the_environment(monkeypatch, environment, port, hosts):
    for name in ("CDSW_READONLY_PORT", "CDSW_APP_PORT", "CDSW_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    args = loaded("dashboard.py").parser().parse_args([])
    assert (args.port, args.allow_host) == (port, hosts)


def dashboard(*words) -> subprocess.CompletedProcess:
    command = [sys.executable, "dashboard.py", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_port_in_use_is_one_message():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = dashboard("--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "take another with --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_at_once_and_without_the_extra(tmp_path):
    code = "import sys; sys.modules['uvicorn'] = None; sys.argv[1:] = {}; import runpy; "
    code += "runpy.run_path('dashboard.py', run_name='__main__')"
    for words, status, text in ((["--help"], 0, "--allow_host"), ([], 2, "make dashboard")):
        command = [sys.executable, "-c", code.format(words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, done.stderr
        assert text in done.stdout + done.stderr
