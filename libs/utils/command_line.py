"""Types of options, and running a script from start to exit code."""

import argparse
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def count(text: str) -> int:
    """A whole number of 0 or more."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more, found {text!r}")
    return int(text)


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if count(text) == 0:
        raise argparse.ArgumentTypeError("expected a number of 1 or more, found 0")
    return int(text)


def _flag(text: str) -> bool:
    """A boolean as a word, so that "False" is false."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"expected true or false, found {text!r}")
    return words[text.lower()]


def rate(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text!r}")
    return value


def fraction(text: str) -> float:
    """A fraction between 0 and 1."""
    value = rate(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"expected a fraction below 1, found {text!r}")
    return value


def contamination(text: str) -> float:
    """A fraction below 1, or "natural" (1): all unlabelled anomalies."""
    if text == "natural":
        return 1.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a fraction from 0 to below 1, or natural; found {text!r}"
        )
    return value


def threshold(text: str) -> tuple[str, float]:
    """What decides which rows are flagged: ``fpr=.01``, a rate, or ``alerts=200``, a number."""
    rule, _, value = text.partition("=")
    kinds = {"fpr": fraction, "alerts": positive}
    if rule not in kinds:
        raise argparse.ArgumentTypeError(
            f"expected fpr=RATE or alerts=N, such as fpr=.01 or alerts=200; found {text!r}"
        )
    return rule, kinds[rule](value)


def option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """An option of a script: our name first, then those in the papers' scripts."""
    return names, settings


def switch(*names: str, default: bool, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """A boolean option: 1, true, yes, 0, false or no; without a value true."""
    word = {"type": _flag, "nargs": "?", "const": True, "metavar": "BOOL"}
    return option(*names, **word, default=default, help=help)


def folder(*names: str, default: str | None, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """An option that names a folder."""
    path = None if default is None else Path(default)
    return option(*names, type=Path, metavar="FOLDER", default=path, help=help)


def plain_parser(doc: str) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring unformatted."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=doc, formatter_class=raw)


def add_folders(parser: argparse.ArgumentParser, *, in_path: str, out_path: str) -> None:
    """Add the folders of the evaluate_ scripts, with their defaults."""
    parser.add_argument("--in_path", type=Path, default=Path(in_path), help=f"default: {in_path}")
    parser.add_argument(
        "--out_path", type=Path, default=Path(out_path), help=f"default: {out_path}"
    )


def add_flag(
    parser: argparse.ArgumentParser, *names: str, default: bool = False, help: str
) -> None:
    """Add a boolean option: 1, true, yes, 0, false or no; without a value true."""
    names, settings = switch(*names, default=default, help=help)
    parser.add_argument(*names, **settings)


def experiment_script(
    main: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    check: Callable[[argparse.Namespace], None] | None = None,
) -> int:
    """Run a script: its command line, a quiet TensorFlow, ``main(args)``, an exit code.

    ``check(args)`` reports user errors before TensorFlow, which takes seconds, is started.
    """

    def start(args: argparse.Namespace) -> int | None:
        if check is not None:
            check(args)
        from libs.utils.runtime import start_tensorflow

        start_tensorflow()
        return main(args)

    return run(start, parser)


def run(
    main: Callable[[argparse.Namespace], int | None],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the command line and run ``main``; report a UserError in one line.

    Returns
    -------
    int
        0: success; 1: a method failed; 2: user error; 130: interrupted; 141: closed pipe.
    """
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("a3").setLevel(logging.INFO)
    from libs.utils.errors import UserError

    try:
        return main(args) or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted: finished trainings are kept, start again to go on", file=sys.stderr)
        return 130
