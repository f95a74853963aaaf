"""Which versions of the project and of its libraries numbers were made with."""

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("keras", "numpy", "pandas", "scikit-learn", "scipy", "tensorflow")


@cache
def made_with() -> dict[str, Any]:
    """``commit``, None outside of a git repository, and ``versions`` by library."""
    return {"commit": git_commit(Path(__file__).parent), "versions": library_versions()}


def git_commit(folder: Path) -> str | None:
    """The commit that lies in a folder, with ``-changed`` if files differ from it."""
    command = ["git", "-C", str(folder)]
    try:
        found = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True)
        if found.returncode:
            return None
        changed = subprocess.run([*command, "diff", "--quiet", "HEAD"], capture_output=True)
    except OSError:  # no git
        return None
    return found.stdout.strip() + ("-changed" if changed.returncode else "")


def library_versions() -> dict[str, str | None]:
    """Installed versions; None of a library that is installed under another name."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions
