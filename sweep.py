#!/usr/bin/env python
"""Run do_ scripts over data sets and seeds, several at a time, and list what failed.

Each cell is one script with one seed in its own process; its label budgets train together. When a
sweep is restarted, cells that succeeded are skipped, and an interrupted cell resumes with its next
training. Everything after -- is passed to every script.

    python sweep.py --data_sets digits nslkdd --seeds 706 3003 -- --n_epochs 5
    python sweep.py --protocol r2ad2 --seeds 110 210 310 410 510       # all data sets of a paper
    python sweep.py --data_sets csv --seeds 1 2 3 -- FILE --label class --normal benign
    python sweep.py --toml sweep.toml      # data_sets, seeds, protocol, budgets, part, ...

Sweeps with the same --log_path share the cells; those that a killed sweep had begun are run by
another one. A sweep divides the cores and GPUs of a machine among its cells. On a cluster where
this folder, the data and the output folders have the same paths on all machines:

    dask scheduler                                # prints its ADDRESS
    python -m dask worker ADDRESS --nthreads 2    # here, one on each machine; 2: cells at a time
    python sweep.py --backend dask --scheduler ADDRESS --data_sets digits --seeds 706 3003
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from libs.utils.command_line import count, plain_parser, positive, run

DEFAULTS = {
    "protocol": "",
    "budgets": [],
    "part": "test",
    "jobs": 1,
    "threads": 0,
    "backend": "threading",
    "scheduler": "",
    "options": [],
}


def settings_of(args: argparse.Namespace) -> dict:
    """Settings of the command line, else of the file, else the defaults."""
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
    wanted = ("seeds",) if settings["protocol"] else ("data_sets", "seeds")
    missing = [name for name in wanted if not settings.get(name)]
    if missing:
        raise UserError(f"nothing to run: give {' and '.join(f'--{name}' for name in missing)}")
    return {"data_sets": []} | settings


def main(args: argparse.Namespace) -> int:
    """Run the missing cells and show a table of all."""
    from libs.experiments import sweeps

    settings = settings_of(args)
    words = ("data_sets", "seeds", "part", "budgets", "options", "protocol")
    cells = sweeps.cells(Path(__file__).parent, *(settings[word] for word in words))
    if args.dry_run:
        for cell in cells:
            script = os.path.relpath(cell.command[0])
            print(shlex.join(["python", script, *cell.command[1:]]))
        return 0
    outcomes = sweeps.Sweep(
        args.log_path.resolve(),
        **{name: settings[name] for name in ("jobs", "threads", "backend", "scheduler")},
        environment={name: os.environ[name] for name in ("A3_DATA",) if name in os.environ},
    ).run(cells)
    sweeps.show(outcomes)
    return 1 if any(outcome.reason for outcome in outcomes) else 0


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("--toml", type=Path, metavar="FILE", help="settings; the command line takes precedence")
    add(
        "--data_sets",
        nargs="+",
        metavar="NAME",
        help="each is a script do_NAME.py (default: all that offer the protocol)",
    )
    add("--seeds", type=int, nargs="+", metavar="SEED")
    add("--protocol", metavar="NAME", help="of every script (default: each script's own)")
    add("--budgets", type=int, nargs="+", metavar="N", help="label budgets (default: the script's)")
    add("--part", choices=("val", "test"), help="default: test")
    add(
        "--jobs",
        type=positive,
        metavar="N",
        help="cells at a time; they share the cores (default: 1)",
    )
    add("--threads", type=count, metavar="N", help="of a cell (default: its fraction of the cores)")
    add(
        "--backend",
        choices=("threading", "dask"),
        help="this machine (default), or a cluster's workers",
    )
    add("--scheduler", metavar="ADDRESS", help="of dask, such as tcp://10.0.0.1:8786")
    add("--log_path", type=Path, default=Path("results/sweep"), help="default: results/sweep")
    add("--dry_run", action="store_true", help="print the cells' command lines, run nothing")
    words = [*sys.argv[1:], "--"]
    split = words.index("--")
    parser.set_defaults(options=words[split + 1 : -1])
    raise SystemExit(run(main, parser, words[:split]))
