#!/usr/bin/env python
"""A table of your own: CSV (also .gz) or Parquet, with a column of classes or without one.

Numbers are scaled, text becomes one 0/1 column per value, constant columns are dropped; what became
of each column is shown before the training and saved with the models, and score.py applies it to
other files. What is learned of the columns comes from rows that are no test rows.

With --label, --normal names the normal classes; --known those whose rows may be known anomalies;
all other classes, or those of --unknown, appear among the test rows only. Without --label all rows
count as normal: there are scores, and no metrics.

Networks train longer on small tables, until the alarm network gets 10,000 updates (protocol a3).

    python do_csv.py flows.csv 706 test --label class --normal benign --known dos scan
    python do_csv.py jan.csv.gz feb.parquet 706 test --missing median --protocol deepad
"""

from pathlib import Path

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import positive


def study(args, rules, methods, budgets):
    """The study of the command line's experiment; ``budgets`` where anomalies are known."""
    from libs.DataHandler import Experiment
    from libs.datasets.tabular.own import UNLABELLED, OwnTable
    from libs.experiments.study import Cell, Study
    from libs.utils.errors import UserError

    options = {"label": args.label, "missing": args.missing}
    table = OwnTable.of(args.files, args.test_file, **options)
    if args.label is None:
        if args.normal or args.known or args.unknown:
            raise UserError("--normal, --known and --unknown need --label: the column of classes")
        return Study(table, rules, [Cell(Experiment((UNLABELLED,)))], methods)
    classes = sorted(set(table.classes))
    if not args.normal:
        raise UserError(
            f"--label needs --normal: which of the {len(classes)} classes in {args.label!r} are "
            f"normal; they are {', '.join(classes[:20])}"
        )
    if args.unknown is None:
        args.unknown = [c for c in classes if c not in [*args.normal, *(args.known or ())]]
    experiment = Experiment(tuple(args.normal), tuple(args.known or ()), tuple(args.unknown))
    return Study(table, rules, [Cell(experiment, budgets if args.known else (0,))], methods)


def a3(args):
    """A3 and the baselines of its paper."""
    from baselines import Autoencoder
    from libs.DataHandler import SplitRules
    from libs.experiments.protocols.a3 import BUDGETS, a3_methods

    def methods(handler):
        normal = args.normal or set(handler.data.classes)
        times = handler.epoch_factor(tuple(normal), epochs=60, batch_size=args.batch_size)
        autoencoder = Autoencoder(dims=tuple(args.dims))
        return a3_methods(autoencoder, batch_size=args.batch_size, times=times)

    return study(args, SplitRules(scale_on="normal"), methods, BUDGETS)


def deepad(args):
    """The detectors of deepad, which use no labels."""
    from libs.DataHandler import SplitRules
    from libs.experiments.protocols.deepad import deepad_methods

    return study(args, SplitRules(scale_on="normal"), lambda handler: deepad_methods(), (0,))


def r2ad2(args):
    """R2-AD2 and the baselines of its paper."""
    from libs.DataHandler import SplitRules
    from libs.experiments.protocols.r2ad2 import ALARM_BIG, BUDGETS, RULES, r2ad2_methods

    def methods(handler):
        return r2ad2_methods(tuple(args.dims), args.batch_size, ALARM_BIG)

    return study(args, SplitRules(**RULES), methods, BUDGETS)


def argue(args):
    """ARGUE, an expert for each normal class, A4RGUE, which finds classes, and baselines."""
    from libs.DataHandler import SplitRules
    from libs.experiments.protocols.argue import RULES, SEMI_SUPERVISED, argue_methods

    def methods(handler):
        return argue_methods(tuple(args.dims), args.batch_size, clusters=5)

    return study(args, SplitRules(**RULES), methods, SEMI_SUPERVISED["budgets"])


PROTOCOLS = {"a3": a3, "deepad": deepad, "r2ad2": r2ad2, "argue": argue}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS, files=True)
    add = parser.add_argument
    add("--label", metavar="COLUMN", help="the column of classes (default: no row has one)")
    add("--test_file", type=Path, metavar="FILE", help="test rows (default: a part of FILE)")
    add(
        "--missing",
        choices=("refuse", "median"),
        default="refuse",
        help="missing values: an error, or the median (of text the most frequent one)",
    )
    add(
        "--dims",
        type=positive,
        nargs="+",
        default=[40, 20, 10],
        metavar="N",
        help="widths of the autoencoders (default: 40 20 10)",
    )
    add("--batch_size", type=positive, default=256, metavar="N", help="default: 256")
    raise SystemExit(study_script(parser))
