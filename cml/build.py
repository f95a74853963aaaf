"""Cloudera Machine Learning, step 2, a job: train models, for the dashboard and the endpoint.

``A3_TRAIN`` names another script and its arguments; default: ``do_digits.py 706 test``, which needs
no data, and takes a minute.
"""

import os
import shlex
import subprocess
import sys


def main() -> None:
    """Run the script."""
    words = shlex.split(os.environ.get("A3_TRAIN", "do_digits.py 706 test"))
    subprocess.run([sys.executable, *words], check=True)


if __name__ == "__main__":
    main()
