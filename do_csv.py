#!/usr/bin/env python
"""A table of your own: CSV (also .gz) or Parquet, with or without a column of classes.

Numbers are scaled, text becomes one 0/1 column per value, constant columns are dropped. A summary
of every column is shown before training and saved with the models; score.py applies the same
encoding, which is learned without the test rows. All errors in a table are reported at once.

--normal names the normal classes of the column --label and --known those that may provide known
anomalies; the other classes, or those of --unknown, appear in the test split only. Without --label
all rows count as normal: the end is a histogram of the scores, a threshold (--threshold alerts=200)
and the most anomalous rows with their reasons. Dates become hour, weekday and age.

best, the default: the Ensemble and its rivals, or those that need no labels where no anomaly is
known. Under a3, networks train longer on small tables, until the alarm network has made 10,000
updates; the papers' protocols take minutes to hours.

A sample of the forest cover types takes 4 minutes under a3 on two busy cores. Expect AUC / AP of
.849 / .825 (known), .734 / .804 (transfer) and .618 / .506 (unknown), means of three seeds, with
classes 1 to 3 normal, 4 and 5 known, and 100 known anomalies.

    python do_csv.py flows.csv                       # what is in it, and how to go on
    python do_csv.py flows.csv 706 test --label class --normal benign --known dos scan
    python do_csv.py flows.csv 706 test --label class --normal benign --known dos --protocol a3
    python do_csv.py jan.csv.gz feb.parquet 706 test --id key --threshold alerts=200
"""

import sys

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import positive, run


def study(args, rules, methods, budgets):
    """The study of the command line's experiment; ``budgets`` where anomalies are known."""
    from libs.experiments.own_tables import fitting_budgets
    from libs.experiments.study import Cell, Study

    cell = Cell(args.experiment, fitting_budgets(args, rules, budgets))
    return Study(args.table, rules, [cell], methods)


def best(args):
    """The Ensemble and its rivals: our settings."""
    from libs.DataHandler import SplitRules
    from libs.experiments.protocols.best import BUDGETS, RULES, best_methods, epochs_for

    def methods(handler):
        return best_methods(tuple(args.dims), epochs_for(handler))

    return study(args, SplitRules(**RULES), methods, BUDGETS)


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


PROTOCOLS = {"best": best, "a3": a3, "deepad": deepad, "r2ad2": r2ad2, "argue": argue}


def main(parser):
    """Look at the table alone, or train and say how to go on; returns an exit code."""
    from libs.experiments import own_tables

    own_tables.add_table_options(parser)
    if own_tables.wants_summary(sys.argv[1:]):
        return run(own_tables.look, own_tables.look_parser())
    return study_script(parser, own_tables.check, own_tables.finish)


if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS, files=True)
    add = parser.add_argument
    numbers = {"type": positive, "metavar": "N"}
    text = "widths of the autoencoders (default: 40 20 10)"
    add("--dims", **numbers, nargs="+", default=[40, 20, 10], help=text)
    add("--batch_size", **numbers, default=256, help="default: 256")
    raise SystemExit(main(parser))
