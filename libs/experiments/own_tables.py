"""The parts of do_csv.py: its options, checking a table before training, the next steps.

TensorFlow is imported for the next steps only, so that errors are reported within a second.
"""

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any

from libs.DataHandler import DataHandler, Experiment, SplitRules
from libs.datasets.dataset import DataSet
from libs.datasets.tabular.cells import Notation, as_text
from libs.datasets.tabular.own import UNLABELLED, OwnTable
from libs.datasets.tabular.reading import UTF_8, read
from libs.datasets.tabular.schema import MISSING, MOST_LISTED, REFUSE, join_names
from libs.experiments.next_commands import default_threshold, next_commands
from libs.experiments.protocols.registry import PROTOCOLS
from libs.utils import command_line
from libs.utils.command_line import plain_parser
from libs.utils.errors import UserError
from libs.utils.storage import MANIFEST, read_arrays, read_manifest

MOST_CLASSES = 20
"""Distinct values above which a column is not suggested as the label."""
FEW_UPDATES = 500
"""Updates below which a network has hardly begun to learn; protocols have thousands."""


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on how a table is read."""
    add = parser.add_argument
    columns = {"nargs": "+", "action": "extend", "default": [], "metavar": "COLUMN"}
    add("--label", metavar="COLUMN", help="the column of classes (default: no row has one)")
    add("--test_file", type=Path, metavar="FILE", help="test rows (default: a part of FILE)")
    add(
        "--missing",
        choices=MISSING,
        default=REFUSE,
        help="missing values: an error, or the median (of text the most frequent one)",
    )
    marks = columns | {"metavar": "TEXT"}
    add("--missing_values", **marks, help="their marks, such as - (always: empty, NA, NaN, null)")
    add("--decimal", default=".", metavar="C", help="between units and tenths (default: .)")
    add("--thousands", default="", metavar="C", help="between thousands (default: none)")
    add("--encoding", default=UTF_8, metavar="NAME", help="of CSV, such as cp1252 (default: utf-8)")
    add(
        "--threshold",
        type=command_line.threshold,
        metavar="fpr=RATE|alerts=N",
        help="rows to flag where there are no labels, as in score.py",
    )
    add("--drop", **columns, help="columns to leave out")
    add("--text", **columns, help="columns that are text, even if they look like numbers")
    add("--id", **columns, help="columns to keep beside the scores; not used as inputs")


def read_options(args: argparse.Namespace) -> OwnTable:
    """The table that the command line describes."""
    missing = tuple(args.missing_values)
    return OwnTable.of(
        args.files,
        args.test_file,
        label=args.label,
        missing=args.missing,
        drop=tuple(args.drop),
        text=tuple(args.text),
        ids=tuple(args.id),
        notation=Notation(args.decimal, args.thousands, missing, args.encoding),
    )


def check(args: argparse.Namespace) -> None:
    """Check the whole table, report all its errors, and determine the experiment.

    Sets ``args.table`` and ``args.experiment``; classes that were not named are printed.
    """
    args.table = read_options(args)
    if args.label is None and (args.normal or args.known or args.unknown):
        raise UserError("--normal, --known and --unknown need --label: the column of classes")
    try:
        args.table.check()
    except UserError:
        if args.label is not None and args.label not in _names(args.table):
            look(args)
        raise
    args.experiment = Experiment((UNLABELLED,)) if args.label is None else _experiment(args)


def _names(table: OwnTable) -> tuple[str, ...]:
    """Columns of the first file."""
    return next(read(table.files[0], [], encoding=table.notation.encoding)).names


def _experiment(args: argparse.Namespace) -> Experiment:
    """The normal, known and unknown classes; those not named are printed."""
    counts = Counter(args.table.classes.tolist())
    named = {role: getattr(args, role) for role in ("normal", "known", "unknown")}
    named = {role: v and [name.strip() for name in v] for role, v in named.items()}
    there = ", ".join(f"{name} ({rows})" for name, rows in counts.most_common(MOST_CLASSES))
    gone = [name for names in named.values() for name in names or () if name not in counts]
    if gone and args.test_file is None:
        raise UserError(f"{args.label!r} has no class {', '.join(gone)}; its classes are {there}")
    if not named["normal"]:
        most, rows = counts.most_common(1)[0]
        if 2 * rows <= counts.total() or most in [*(args.known or ()), *(args.unknown or ())]:
            raise UserError(
                f"--label needs --normal: which of the {len(counts)} classes in {args.label!r} are "
                f"normal; they are {', '.join(sorted(counts)[:MOST_CLASSES])}"
            )
        print(f"normal: {most}, the majority ({rows} of {counts.total()} rows)")
        named["normal"] = [most]
    rest = [c for c in sorted(counts) if c not in [*named["normal"], *(named["known"] or ())]]
    if named["unknown"] is None:
        named["unknown"] = rest
    if not named["known"] and named["unknown"]:
        if any(args.n_train_anomalies or ()):
            raise UserError(
                "--n_train_anomalies needs known anomalies: name --known, the classes whose rows "
                f"may be known anomalies; besides the normal ones there are {join_names(rest)}"
            )
        print(
            f"known: none, so {join_names(rest)} appear among the test rows only; "
            "name --known to train with labels"
        )
    for role, classes in named.items():
        setattr(args, role, classes)
    return Experiment(*(tuple(classes or ()) for classes in named.values()))


def fitting_budgets(
    args: argparse.Namespace, rules: SplitRules, budgets: Sequence[int]
) -> tuple[int, ...]:
    """Label budgets that the known anomalies among the training rows suffice for."""
    if not args.known:
        return (0,)
    classes = args.table.classes  # they alone decide what is a training row
    test = {} if args.test_file is None else {"x_test": classes, "classes_test": classes}
    data = DataSet(args.table.name, classes, classes, "", **test)
    there = DataHandler(data, rules, args.seed).count_training_rows(args.known)
    if not there:
        raise UserError(
            f"the training rows hold none of {', '.join(args.known)}: --known names classes with "
            "enough rows to train with"
        )
    wanted = tuple(args.n_train_anomalies or budgets)
    if max(wanted) <= there:
        return tuple(budgets)
    fitting = tuple(sorted({min(budget, there) for budget in wanted}))
    print(
        f"label budgets: {' '.join(map(str, fitting))} instead of {' '.join(map(str, wanted))}: "
        f"the training rows hold {there} of {', '.join(args.known)}"
    )
    args.n_train_anomalies = args.n_train_anomalies and list(fitting)
    return fitting


def wants_summary(argv: Sequence[str]) -> bool:
    """Whether a command line holds only files, perhaps a seed, and how to read them."""
    if not argv or {"val", "test", "-h", "--help"} & set(argv):
        return False
    return not look_parser().parse_known_args(argv)[1]


def look_parser() -> argparse.ArgumentParser:
    """Command line of the summary: files, perhaps a seed, and how to read them."""
    parser = plain_parser("Print what a table holds, and the command to go on with.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_table_options(parser)
    return parser


def look(args: argparse.Namespace) -> None:
    """Print a summary of a table and the next command."""
    args.files = [f for f in args.files if f.exists() or not f.name.isdigit()]  # but the seed
    columns: dict[str, Counter] = {}
    rows, table = 0, read_options(args)
    for file in table.files:
        for block in read(file, skipped=table.drop, encoding=table.notation.encoding):
            rows += len(block)
            for name in block.frame.columns:
                seen = columns.setdefault(name, Counter())
                if len(seen) <= MOST_CLASSES:
                    text = as_text(block.frame[name]).replace("", "(empty)")
                    seen.update(dict(sorted(text.value_counts().rows())))
    print(
        f"{join_names([str(file) for file in args.files])}: {rows:,} rows, {len(columns)} columns"
    )
    labels = {n: c for n, c in columns.items() if 1 < len(c) <= MOST_CLASSES}
    many = [name for name, counts in columns.items() if len(counts) > MOST_CLASSES]
    if len(many) > MOST_LISTED:
        print(f"  {len(many)} columns with more than {MOST_CLASSES} values: {join_names(many)}")
        columns = {name: counts for name, counts in columns.items() if name not in many}
    for name, counts in columns.items():
        few = ", ".join(f"{value} ({n})" for value, n in counts.most_common(MOST_CLASSES))
        print(f"  {name}: {few if name in labels else _kind(counts)}")
    words = ["python", "do_csv.py", *map(str, args.files), "1", "test"]
    if not hasattr(args, "seed"):  # else they have not led anywhere
        words += _options_but_label(sys.argv[1:])
    print("\nto go on, without labels:\n    " + shlex.join(words))
    guess = args.label if args.label in labels else _likely_label(labels)
    if guess:
        (normal, _), *others = labels[guess].most_common()
        words += ["--label", guess, "--normal", normal, "--known", others[0][0]]
        print(f"or, if {guess!r} holds the classes:\n    {shlex.join(words)}")


def _options_but_label(argv: Sequence[str]) -> list[str]:
    """What follows the files on a command line, but the label: the summary names it itself."""
    options = list(dropwhile(lambda word: not word.startswith("-"), argv))
    if "--label" in options:
        at = options.index("--label")
        del options[at : at + 2]
    return [word for word in options if not word.startswith("--label=")]


def _kind(counts: Counter) -> str:
    some = ", ".join(value[:20] for value in list(counts)[:3])
    return f"always {some}" if len(counts) == 1 else f"more than {MOST_CLASSES} values: {some}, …"


def _likely_label(labels: dict[str, Counter]) -> str | None:
    """The column with a typical name, else the last one with few values."""
    telling = [n for n in labels if n.strip().lower() in ("label", "class", "target", "y", "fraud")]
    return next(iter([*telling, *reversed(labels)]), None)


def _tell_undertrained(manifests: dict[Path, dict[str, Any]]) -> None:
    """Print which networks had few updates; what else there is has no losses."""
    found = []
    for run, about in manifests.items():
        training = about["training"]
        if training["losses"] and training["updates"] < FEW_UPDATES:
            found.append(f"{run.parent.name} ({training['updates']})")
    if found:
        few = ", ".join(found)
        print(f"\nundertrained, with fewer than {FEW_UPDATES} updates: {few}; give more --n_epochs")


def finish(args: argparse.Namespace) -> None:
    """Print where the models are and what uses them; before, without labels, the worst rows."""
    from libs.detectors.components import component
    from libs.experiments.ranking import show_ranking

    place = Path(args.model_path) / args.table.name
    pattern = f"{args.protocol}*/{args.seed}/{args.experiment.slug}*/[!.]*/[!.]*/{MANIFEST}"
    newest = sorted(place.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    runs = [path.parent for path in newest]
    wanted = [run for run in runs if run.parent.name in (args.methods or [run.parent.name])]
    if not wanted:
        return
    manifests = {run: read_manifest(run) for run in wanted}
    _tell_undertrained(manifests)
    kinds = {run: component(about["detector"]["class"]) for run, about in manifests.items()}
    own = PROTOCOLS[args.protocol].own
    run = min(wanted, key=lambda run: (not kinds[run].explained_by, run.parent.name not in own))
    calibrated = len(read_arrays(run / "calibration.npz")["scores"])
    threshold = args.threshold or default_threshold(calibrated)
    labelled = bool(args.experiment.views)
    if not labelled:
        show_ranking(run, args.part, *threshold)
    explains = bool(kinds[run].explained_by)
    commands = next_commands(run, str(args.files[0]), threshold, labelled, explains)
    folders = ["--models", str(args.model_path), "--results", str(args.result_path)]
    commands.append(shlex.join(["python", "dashboard.py", *folders]))
    print(f"\nmodels: {run.parent.parent}\nto score other files, explain scores, or look at them:")
    print(*(f"    {command}" for command in commands), sep="\n")
