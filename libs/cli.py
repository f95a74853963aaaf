"""The command line of every do_ script, and how a script ends."""

import argparse
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, found {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if _count(text) == 0:
        raise argparse.ArgumentTypeError("expected a number of 1 or more, found 0")
    return int(text)


def _flag(text: str) -> bool:
    """A boolean in words, so that "False" is false."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"expected true or false, found {text!r}")
    return words[text.lower()]


def _rate(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value


def share(text: str) -> float:
    """A share between 0 and 1."""
    value = _rate(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"expected a share below 1, found {text!r}")
    return value


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """One line of `OPTIONS`: the first name is ours, the others are the papers'."""
    return names, settings


def _switch(*names: str, default: bool, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """A boolean option that takes 1, true, yes, 0, false or no, and means true by itself."""
    word = {"type": _flag, "nargs": "?", "const": True, "metavar": "BOOL"}
    return _option(*names, **word, default=default, help=help)


def _folder(*names: str, default: str | None, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    path = None if default is None else Path(default)
    return _option(*names, type=Path, metavar="FOLDER", default=path, help=help)


OPTIONS = (
    _option("--methods", nargs="+", metavar="NAME", help="train and score only these methods"),
    _option(
        *("--n_train_anomalies", "--n_anomalies"),
        type=_count,
        nargs="+",
        metavar="N",
        help="label budgets: known anomalies in training (default: the protocol's)",
    ),
    _option(
        *("--p_contamination", "--p_pollution"),
        type=float,
        nargs="+",
        metavar="P",
        help="share of anomalies among the rows that count as normal in training (default: the "
        "protocol's)",
    ),
    _switch("--eval_n_anomalies", default=True, help="false: only the largest label budget"),
    _switch("--eval_p_pollution", default=True, help="false: no sweep over contaminations"),
    *(
        _option(
            f"--{role}", nargs="*", metavar="CLASS", help=f"{role} classes of an own experiment"
        )
        for role in ("normal", "known", "unknown")
    ),
    _option("--n_epochs", type=positive, metavar="N", help="of every network (default: its own)"),
    _option("--learning_rate", type=_rate, metavar="X", help="likewise"),
    _option(
        "--patience",
        type=positive,
        metavar="N",
        help="ARGUE, A4RGUE: stop after N epochs without a new best loss on normal rows that are "
        "held out for it (default: never)",
    ),
    _option(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of products in training; auto: bfloat16 where the hardware is fast at it",
    ),
    _folder("--data_path", default=None, help="raw files (default: $A3_DATA, or data)"),
    _folder("--model_path", default="models", help="default: models"),
    _folder("--result_path", "--out_path", default="results", help="default: results"),
    _switch("--override", "--is_override", default=False, help="train again what is there"),
    _switch(
        "--no_reference",
        default=False,
        help="keep no training rows with the models, from which explanations of scores start",
    ),
)
"""Options of every do_ script. What a paper's scripts call otherwise is an alias here."""
SEEDS = {
    "a3": "2409 2903 3003 3103 706",
    "a3-parameters": "2409 2903 3003 3103 706",
    "r2ad2": "110 210 310 410 510",
    "argue": "110 210 310 410 510 610 710",
    "deepad": "2018",
}
"""Seeds of each protocol's paper."""


def plain_parser(doc: str) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring as it stands."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=doc, formatter_class=raw)


def study_parser(
    doc: str,
    protocols: Mapping[str, Callable[..., Any]],
    parts: Sequence[str] = ("val", "test"),
    files: bool = False,
) -> argparse.ArgumentParser:
    """Options that all do_ scripts share.

    Parameters
    ----------
    doc : str
        The script's docstring, shown by ``--help``.
    protocols : mapping of str to callable
        Under each protocol's name the function that makes the script's Study from the command line.
    parts : sequence of str
        Which rows may be scored.
    files : bool
        Whether the first arguments are files.
    """
    parser = plain_parser(doc)
    add = parser.add_argument
    if files:
        add("files", nargs="+", type=Path, metavar="FILE", help="CSV (also .gz) or Parquet")
    seeds = "; ".join(f"{name} {SEEDS[name]}" for name in protocols)
    add("seed", type=int, metavar="SEED", help=f"seed of the run; the papers': {seeds}")
    add("part", choices=parts, help="rows to score; thresholds always come from val")
    first = next(iter(protocols))
    add("--protocol", choices=tuple(protocols), default=first, help=f"settings (default: {first})")
    for names, settings in OPTIONS:
        add(*names, **settings)
    parser.set_defaults(protocols=protocols)
    return parser


def add_folders(parser: argparse.ArgumentParser, *, in_path: str, out_path: str) -> None:
    """Options of the evaluate_ scripts; the arguments are the defaults."""
    parser.add_argument("--in_path", type=Path, default=Path(in_path), help=f"default: {in_path}")
    parser.add_argument(
        "--out_path", type=Path, default=Path(out_path), help=f"default: {out_path}"
    )


def add_flag(
    parser: argparse.ArgumentParser, *names: str, default: bool = False, help: str
) -> None:
    """Add a boolean option that takes 1, true, yes, 0, false or no, and means true by itself."""
    names, settings = _switch(*names, default=default, help=help)
    parser.add_argument(*names, **settings)


def study_script(parser: argparse.ArgumentParser) -> int:
    """Run a do_ script: its command line, the Study of the protocol, an exit code.

    Parameters
    ----------
    parser : ArgumentParser
        See `study_parser`.
    """

    def main(args: argparse.Namespace) -> int:
        from libs.ExperimentWrapper import run_study

        study = args.protocols[args.protocol](args)
        return run_study(study, args.protocol, args.seed, args.part, **_chosen(args))

    return experiment_script(main, parser)


def _chosen(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `libs.ExperimentWrapper.run_study` that the command line decides."""
    from libs.runtime import chosen_precision

    places = ("data_path", "model_path", "result_path", "override")
    settings = ("n_epochs", "learning_rate", "patience")
    return {name: getattr(args, name) for name in places + settings} | {
        "precision": chosen_precision(args.precision),
        "reference": not args.no_reference,
        "only": args.methods,
        "choice": {
            "own": _own_experiment(args),
            "budgets": args.n_train_anomalies,
            "shares": args.p_contamination,
            "all_budgets": args.eval_n_anomalies,
            "all_shares": args.eval_p_pollution,
        },
    }


def _own_experiment(args: argparse.Namespace) -> Any:
    """The Experiment that ``--normal``, ``--known`` and ``--unknown`` describe, else None."""
    from libs.DataHandler import Experiment
    from libs.errors import UserError

    classes = [tuple(getattr(args, role) or ()) for role in ("normal", "known", "unknown")]
    if not any(classes):
        return None
    if not classes[0]:
        raise UserError("--known and --unknown need --normal beside them: the normal classes")
    if not classes[1] and not classes[2]:
        raise UserError("--normal needs --known or --unknown beside it: the anomalous classes")
    return Experiment(*classes)


def experiment_script(
    main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser
) -> int:
    """Run a script: its command line, a quiet TensorFlow, ``main(args)``, an exit code."""

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
