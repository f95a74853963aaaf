#!/usr/bin/env python
"""Run do_ scripts over data sets and seeds, several at a time, and list what failed.

Each cell is one script with one seed, in a process of its own; its label budgets train together
in it. Cells that ended well are skipped when the sweep is started again; a cell that was cut off
goes on with its next training. Everything after -- is handed to every script.

    python sweep.py --data_sets digits nslkdd --seeds 706 3003 -- --n_epochs 5
    python sweep.py --toml sweep.toml      # data_sets, seeds, protocol, budgets, part, ...

Several sweeps on one --log_path share the cells; what a dead one had begun, another takes over
within a minute. The cores of a machine, and its GPUs, are shared out among the cells on it. On a
cluster, where this folder, the data and the output folders are shared under the same paths:

    dask scheduler                                # tells its ADDRESS
    python -m dask worker ADDRESS --nthreads 2    # here, on each machine: cells at a time
    python sweep.py --backend dask --scheduler ADDRESS --data_sets digits --seeds 706 3003
"""

import argparse
import os
import sys
from pathlib import Path

from libs.utils.command_line import plain_parser, run

DEFAULTS = {
    "protocol": "",
    "budgets": [],
    "part": "test",
    "jobs": 1,
    "threads": 0,
    "backend": "loky",
    "scheduler": "",
    "options": [],
}


def settings_of(args: argparse.Namespace) -> dict:
    """Settings of the file, replaced by those of the command line, completed by the defaults."""
    import tomllib

    from libs.utils.errors import UserError

    given = {}
    if args.toml:
        try:
            given = tomllib.loads(args.toml.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise UserError(f"{args.toml} is no readable TOML file: {error}") from error
    names = ("data_sets", "seeds", *DEFAULTS)
    strange = sorted(set(given) - set(names))
    if strange:
        raise UserError(f"{args.toml}: unknown setting {', '.join(strange)}; expected {names}")
    line = {name: getattr(args, name) for name in names if getattr(args, name)}
    settings = DEFAULTS | given | line
    missing = [name for name in ("data_sets", "seeds") if not settings.get(name)]
    if missing:
        raise UserError(f"nothing to run: give {' and '.join(f'--{name}' for name in missing)}")
    return settings


def main(args: argparse.Namespace) -> int:
    """Make the cells, run those that are missing, show the table."""
    from libs.experiments import sweeps as sweeping

    settings = settings_of(args)
    cells = sweeping.cells(
        Path(__file__).parent,
        settings["data_sets"],
        settings["seeds"],
        settings["part"],
        settings["budgets"],
        settings["options"],
        settings["protocol"],
    )
    data = {name: os.environ[name] for name in ("A3_DATA",) if name in os.environ}
    place = sweeping.Place(args.log_path.resolve(), environment=data)
    chosen = {name: settings[name] for name in ("backend", "jobs", "scheduler", "threads")}
    with sweeping.crew(**chosen) as crew:
        outcomes = sweeping.run_all(cells, crew, place)
    sweeping.show(outcomes)
    return 1 if any(outcome.reason for outcome in outcomes) else 0


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("--toml", type=Path, metavar="FILE", help="settings; the command line comes before them")
    add("--data_sets", nargs="+", metavar="NAME", help="each is a script do_NAME.py")
    add("--seeds", type=int, nargs="+", metavar="SEED")
    add("--protocol", metavar="NAME", help="of every script (default: each script's own)")
    add("--budgets", type=int, nargs="+", metavar="N", help="label budgets (default: the script's)")
    add("--part", choices=("val", "test"), help="default: test")
    add("--jobs", type=int, metavar="N", help="cells at a time; they share the cores (default: 1)")
    add("--threads", type=int, metavar="N", help="of each cell (default: its share of the cores)")
    add(
        "--backend", choices=("loky", "dask"), help="this machine (default), or a cluster's workers"
    )
    add("--scheduler", metavar="ADDRESS", help="of dask, such as tcp://10.0.0.1:8786")
    add("--log_path", type=Path, default=Path("results/sweep"), help="default: results/sweep")
    words = [*sys.argv[1:], "--"]
    split = words.index("--")
    parser.set_defaults(options=words[split + 1 : -1])
    raise SystemExit(run(main, parser, words[:split]))
