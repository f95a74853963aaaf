"""The command line of every do_ script, and how a script ends."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def plain_parser(doc: str) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring as it stands."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=doc, formatter_class=raw)


def experiment_parser(doc: str, seed: str) -> argparse.ArgumentParser:
    """Options that all do_ scripts share.

    Parameters
    ----------
    doc : str
        The script's docstring, shown by ``--help``.
    seed : str
        Which seeds the paper takes.
    """
    parser = plain_parser(doc)
    add = parser.add_argument
    add("seed", type=int, metavar="SEED", help=f"seed of the run, e.g. {seed}")
    add("part", choices=("val", "test"), help="rows to score; thresholds always come from val")
    add("--methods", nargs="+", metavar="NAME", help="train and score only these methods")
    add(
        "--n_train_anomalies",
        "--n_anomalies",
        type=_count,
        nargs="+",
        metavar="N",
        help="label budgets: known anomalies in training (default: the protocol's)",
    )
    add(
        "--p_contamination",
        "--p_pollution",
        type=float,
        default=0.0,
        metavar="P",
        help="share of anomalies among the rows that count as normal in training (default 0)",
    )
    for role in ("normal", "known", "unknown"):
        add(f"--{role}", nargs="*", metavar="CLASS", help=f"{role} classes of one own experiment")
    add_run_options(parser)
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every script that trains by an ExperimentWrapper; see `places`."""
    add = parser.add_argument
    add(
        "--n_epochs", type=_positive, metavar="N", help="epochs of every network (default: its own)"
    )
    add(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of products in training; auto: bfloat16 where the hardware is fast at it",
    )
    add("--data_path", type=Path, metavar="FOLDER", help="raw files (default: $A3_DATA, or data)")
    add("--model_path", type=Path, default=Path("models"), metavar="FOLDER", help="default: models")
    add(
        "--result_path",
        "--out_path",
        type=Path,
        default=Path("results"),
        metavar="FOLDER",
        help="default: results",
    )
    add_flag(parser, "--override", "--is_override", help="train again what is there")


def add_folders(parser: argparse.ArgumentParser, *, in_path: str, out_path: str) -> None:
    """Options of the evaluate_ scripts; the arguments are the defaults."""
    parser.add_argument("--in_path", type=Path, default=Path(in_path), help=f"default: {in_path}")
    parser.add_argument(
        "--out_path", type=Path, default=Path(out_path), help=f"default: {out_path}"
    )


def add_flag(parser: argparse.ArgumentParser, *names: str, help: str) -> None:
    """Add a boolean option that takes 1, true, yes, 0, false or no, and means true by itself."""
    parser.add_argument(
        *names, type=_flag, nargs="?", const=True, default=False, metavar="BOOL", help=help
    )


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, found {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if _count(text) == 0:
        raise argparse.ArgumentTypeError("expected a number of 1 or more, found 0")
    return int(text)


def _flag(text: str) -> bool:
    """A boolean in words, so that "False" is false."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"expected true or false, found {text!r}")
    return words[text.lower()]


def places(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of ExperimentWrapper that the command line decides."""
    from libs.runtime import chosen_precision

    names = ("model_path", "result_path", "n_epochs", "override")
    return {
        "precision": chosen_precision(args.precision),
        **{name: getattr(args, name) for name in names},
    }


def selection(args: argparse.Namespace, budgets: Sequence[int]) -> dict[str, Any]:
    """Keyword arguments of ExperimentWrapper.run that the command line decides.

    Parameters
    ----------
    args : Namespace
    budgets : sequence of int
        The protocol's label budgets, used where the command line names none.
    """
    return {
        "budgets": args.n_train_anomalies or budgets,
        "schedule": max(budgets),
        "p_contamination": args.p_contamination,
        "only": args.methods,
    }


def own_experiments(args: argparse.Namespace) -> list:
    """The experiment that ``--normal``, ``--known`` and ``--unknown`` describe, if they do."""
    from libs.DataHandler import Experiment
    from libs.errors import UserError

    classes = [tuple(getattr(args, role) or ()) for role in ("normal", "known", "unknown")]
    if not any(classes):
        return []
    if not classes[0]:
        raise UserError("--known and --unknown need --normal beside them: the normal classes")
    return [Experiment(*classes)]


def experiment_script(
    main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser
) -> int:
    """Run a do_ script: its command line, a quiet TensorFlow, ``main(args)``, an exit code."""

    def start(args: argparse.Namespace) -> int | None:
        from libs.runtime import start_tensorflow

        start_tensorflow()
        return main(args)

    return run(start, parser)


def run(
    main: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run ``main`` and say in one line what a person can put right.

    Returns
    -------
    int
        0: all went well; 1: a method failed; 2: wrong input; 130: interrupted; 141: nobody reads.
    """
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("a3").setLevel(logging.INFO)
    from libs.errors import UserError

    try:
        return main(args) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted: finished trainings are kept, start again to go on", file=sys.stderr)
        return 130
