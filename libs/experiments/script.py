"""The command line that all do_ scripts share, and the run that follows."""

import argparse
import hashlib
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.experiments.protocols.registry import PROTOCOLS
from libs.utils.command_line import (
    contamination,
    count,
    experiment_script,
    folder,
    option,
    plain_parser,
    positive,
    rate,
    switch,
)

if TYPE_CHECKING:
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.settings import RunSettings, Selection

log = logging.getLogger("a3")
OPTIONS = (
    option("--methods", nargs="+", metavar="NAME", help="train and score only these methods"),
    option(
        *("--n_train_anomalies", "--n_anomalies"),
        type=count,
        nargs="+",
        metavar="N",
        help="label budgets: known anomalies in training (default: the protocol's)",
    ),
    option(
        *("--p_contamination", "--p_pollution"),
        type=contamination,
        nargs="+",
        metavar="P",
        help="fraction of anomalies among the rows labelled normal in training, or natural: all "
        "unlabelled ones (default: the protocol's)",
    ),
    switch("--eval_n_anomalies", default=True, help="false: only the largest label budget"),
    switch("--eval_p_pollution", default=True, help="false: no sweep over contaminations"),
    *(
        option(
            f"--{role}", nargs="*", metavar="CLASS", help=f"{role} classes of your own experiment"
        )
        for role in ("normal", "known", "unknown")
    ),
    option(
        "--n_epochs",
        type=positive,
        metavar="N",
        help="epochs of every network or, where the paper has such an option, of those that have "
        "its default",
    ),
    option(
        "--learning_rate",
        type=rate,
        metavar="X",
        help="learning rate of every network, or of those that have the paper's default",
    ),
    option(
        "--scale_on",
        choices=("all", "normal"),
        help="rows that scale the features: all but the test rows, or only normal training rows, "
        "so that no held-out class is seen (default: the protocol's)",
    ),
    option(
        "--patience",
        type=positive,
        metavar="N",
        help="ARGUE, A4RGUE: stop after N epochs without a new best loss on held-out normal rows "
        "(default: never)",
    ),
    option(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of products in training; auto: bfloat16 where the hardware is fast at it",
    ),
    folder("--data_path", default=None, help="raw files (default: $A3_DATA, or data)"),
    folder("--model_path", default="models", help="default: models"),
    folder("--result_path", "--out_path", default="results", help="default: results"),
    switch("--override", "--is_override", default=False, help="train existing runs again"),
    switch(
        "--no_reference",
        default=False,
        help="keep no training rows with the models, from which explanations of scores start",
    ),
)
"""Options of every do_ script, with the names in the papers' scripts as aliases."""


def study_parser(
    doc: str,
    protocols: Mapping[str, Callable[..., Any]],
    splits: Sequence[str] = ("val", "test"),
    files: bool = False,
) -> argparse.ArgumentParser:
    """Make a parser with the options that all do_ scripts share.

    Parameters
    ----------
    doc : str
        The script's docstring, shown by ``--help``.
    protocols : mapping of str to callable
        By protocol, a function that makes a Study, or a list of them, from the command line.
    splits : sequence of str
        Splits that may be scored.
    files : bool
        Whether the first arguments are files.
    """
    parser = plain_parser(doc)
    add = parser.add_argument
    if files:
        add("files", nargs="+", type=Path, metavar="FILE", help="CSV (also .gz) or Parquet")
    seeds = "; ".join(f"{name} {' '.join(map(str, PROTOCOLS[name].seeds))}" for name in protocols)
    add("seed", type=int, metavar="SEED", help=f"seed of the run; the papers': {seeds}")
    parts = f"{{{','.join(splits)}}}"  # named in errors, too
    add("part", choices=splits, metavar=parts, help="rows; thresholds always come from val")
    first = next(iter(protocols))
    add("--protocol", choices=tuple(protocols), default=first, help=f"settings (default: {first})")
    for names, settings in OPTIONS:
        add(*names, **settings)
    parser.set_defaults(protocols=protocols)
    return parser


def study_script(
    parser: argparse.ArgumentParser,
    check: Callable[[argparse.Namespace], None] | None = None,
    after: Callable[[argparse.Namespace], None] | None = None,
) -> int:
    """Run a do_ script: its command line, the Study of the protocol, an exit code.

    Parameters
    ----------
    parser : ArgumentParser
        See `study_parser`.
    check : callable, optional
        See `libs.utils.command_line.experiment_script`.
    after : callable, optional
        Called with the command line at the end.
    """

    def main(args: argparse.Namespace) -> int:
        from libs.experiments.study import Study
        from libs.ExperimentWrapper import run_study

        found = args.protocols[args.protocol](args)
        where = (args.protocol, args.seed, args.part)
        studies = [found] if isinstance(found, Study) else found
        with _overriding(args) as since:
            how = {
                "selection": _selection(args),
                "settings": _settings(args, since),
                "data_path": args.data_path,
            }
            code = max(run_study(study, *where, **how) for study in studies)
        if after is not None:
            after(args)
        return code

    return experiment_script(main, parser, check)


@contextmanager
def _overriding(args: argparse.Namespace) -> Iterator[float]:
    """When this very command with ``--override`` began: a restart keeps what was trained since.

    A note among the models tells it, until the command has ended.
    """
    from libs.utils import storage

    if not args.override:
        yield math.inf
        return
    words = json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]])
    note = args.model_path / f".override-{hashlib.sha256(words.encode()).hexdigest()[:16]}.json"
    if note.is_file():
        log.info("what was trained since %s is kept; remove it to train all again", note)
    else:
        storage.write_text(note, words + "\n")
    yield note.stat().st_mtime_ns
    note.unlink(missing_ok=True)


def _settings(args: argparse.Namespace, since: float) -> "RunSettings":
    """Settings that the command line replaces in every method."""
    from libs.experiments.settings import RunSettings
    from libs.utils.runtime import resolve_precision

    protocol = PROTOCOLS[args.protocol]
    published = {"epochs": protocol.epochs, "learning_rate": protocol.learning_rate}
    same = ("model_path", "result_path", "override", "n_epochs", "learning_rate", "patience")
    return RunSettings(
        **{name: getattr(args, name) for name in same},
        precision=resolve_precision(args.precision),
        any_precision=args.precision == "auto",
        override_since=since,
        published={n: v for n, v in published.items() if v is not None},
        keep_reference=not args.no_reference,
    )


def _selection(args: argparse.Namespace) -> "Selection":
    """Cells and methods that the command line selects."""
    from libs.experiments.settings import Selection

    return Selection(
        methods=args.methods,
        experiment=_own_experiment(args),
        budgets=args.n_train_anomalies,
        contaminations=args.p_contamination,
        all_budgets=args.eval_n_anomalies,
        all_contaminations=args.eval_p_pollution,
        scale_on=args.scale_on,
    )


def _own_experiment(args: argparse.Namespace) -> "Experiment | None":
    """The experiment of ``--normal``, ``--known`` and ``--unknown``; None if not given."""
    from libs.datasets.splits.experiment import Experiment
    from libs.utils.errors import UserError

    classes = [tuple(getattr(args, role) or ()) for role in ("normal", "known", "unknown")]
    if not any(classes):
        return None
    if not classes[0]:
        raise UserError("--known and --unknown need --normal, the normal classes")
    if not classes[1] and not classes[2]:
        raise UserError("--normal needs --known or --unknown, the anomalous classes")
    return Experiment(*classes)
