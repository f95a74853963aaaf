"""Cloudera Machine Learning, step 1, a job: install what the dashboard needs."""

import subprocess
import sys


def main() -> None:
    """Install the project and its dashboard into the session's Python."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", ".[dashboard]"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
