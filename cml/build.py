"""Cloudera Machine Learning, step 2, a job: train models, start the dashboard, print its link.

``A3_TRAIN`` names another script and its arguments; default: ``do_digits.py 706 test``, which needs
no data, and takes a minute. The dashboard is an application of the project; one that is there is
started again, with the new models.
"""

import json
import os
import shlex
import subprocess
import sys
from typing import Any

NAME = "A3 dashboard"
SUBDOMAIN = "a3-dashboard"
HELP = (
    "the models are trained, but the dashboard was not started: create an application of the "
    "project with the script dashboard.py by hand"
)


def application_link(cmlapi: Any) -> str:
    """Create the application of the dashboard, or start it again; return its address.

    Parameters
    ----------
    cmlapi : module
        Cloudera's client of its API, version 2.
    """
    client, project = cmlapi.default_client(), os.environ["CDSW_PROJECT_ID"]
    wanted = json.dumps({"name": NAME})
    there = client.list_applications(project, search_filter=wanted).applications
    for application in (a for a in there if a.name == NAME):
        client.restart_application(project, application.id)
        return _address(application.subdomain)
    request = cmlapi.CreateApplicationRequest(
        project_id=project,
        name=NAME,
        subdomain=SUBDOMAIN,
        description="Detectors side by side, thresholds, rows, explanations.",
        script="dashboard.py",
        cpu=1,
        memory=4,
        **_runtime(client, project),
    )
    return _address(client.create_application(request, project).subdomain)


def _runtime(client: Any, project: str) -> dict[str, str]:
    """A runtime of this Python; the kernel where projects have engines instead."""
    if client.get_project(project).default_engine_type == "legacy_engine":
        return {"kernel": "python3"}
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    wanted = json.dumps({"kernel": python, "edition": "Standard"})
    found = client.list_runtimes(search_filter=wanted).runtimes
    if not found:
        raise SystemExit(f"error: no standard runtime of {python} is there; {HELP}")
    return {"runtime_identifier": max(runtime.image_identifier for runtime in found)}


def _address(subdomain: str) -> str:
    return f"https://{subdomain}.{os.environ['CDSW_DOMAIN']}"


def main() -> None:
    """Run the script, then the application."""
    words = shlex.split(os.environ.get("A3_TRAIN", "do_digits.py 706 test"))
    subprocess.run([sys.executable, *words], check=True)
    try:
        import cmlapi
    except ImportError as error:
        raise SystemExit(
            "error: cmlapi, Cloudera's client, is missing: pip install https://$CDSW_DOMAIN/api/v2/"
            f"python.tar.gz; {HELP}"
        ) from error
    print(f"The dashboard starts in about a minute at {application_link(cmlapi)}")


if __name__ == "__main__":
    main()
