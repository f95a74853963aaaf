#!/usr/bin/env python
"""Aggregate result files over seeds, and test whether methods differ.

Without options: mean, standard deviation and count of every run. Prints the table of the newest
results with the best of each column marked and a line for each other experiment (--all: all
tables), and writes summary.csv, summary.md and summary.tex into the output folder. With
--subfolder it reads the files that evaluate_models.py wrote there; summary.csv then also has F1,
precision and recall. --docs also writes a page per paper and an index into a folder. --report
writes report/report.html, a self-contained page, and its pictures instead.

With any option from --protocol on: compare the methods over data sets, as in the papers of R2-AD2
and ARGUE, and write comparison.csv, .pairs.csv, .md and .tex.

    python evaluate_results.py                 # all seeds
    python evaluate_results.py 706 3003 3103   # these only
    python evaluate_results.py --subfolder all_results
    python evaluate_results.py --docs docs/results              # make tables
    python evaluate_results.py 110 210 310 --p_pollution 0 --n_anomalies 100 --p_name wilcoxon
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from libs.utils.command_line import add_flag, add_folders, plain_parser, run

if TYPE_CHECKING:
    import pandas as pd

COMPARING = {
    "protocol": "protocol",
    "methods": "methods",
    "exp_name": "data_set",
    "n_anomalies": "budgets",
    "p_pollution": "pollutions",
    "is_ablation": "ablation",
    "first_experiment": "series",
}
"""Options that choose what is compared, and what `libs.reporting.comparison.Choice` calls them."""
SHOWING = ("metric_name", "is_transfer", "p_name", "show_stddev", "mean_only")


def main(args: argparse.Namespace) -> int:
    """Collect results; then summarise over seeds, or compare methods."""
    from libs.reporting import collection
    from libs.utils.errors import UserError

    asked = [name for name in (*COMPARING, *SHOWING) if getattr(args, name)]
    comparing = bool(asked) or not args.transpose
    if (comparing or args.subfolder) and sum(
        [bool(args.subfolder), comparing, args.report, bool(args.docs)]
    ) > 1:
        raise UserError(
            "--subfolder goes with no other option, and those from --protocol on with none of "
            "--subfolder, --docs and --report: start the script twice"
        )
    if args.subfolder:
        return summarise(
            collection.collect_rescored(args.in_path / args.subfolder, args.seeds), args
        )
    rows = collection.collect(results_folder(args), args.part, args.seeds)
    return compare(rows, args) if comparing else summarise(rows, args)


def results_folder(args: argparse.Namespace) -> Path:
    """Folder of the result files; the papers' scripts wrote them beside the models."""
    from libs.reporting.collection import result_folders
    from libs.utils.errors import UserError

    if args.model_path is None:
        return args.in_path
    if next(result_folders(args.model_path, args.part), None):
        return args.model_path
    if args.model_path == Path("models"):  # as printed in the papers; ours are in --in_path
        print(f"no results in {args.model_path}; these are of {args.in_path}")
        return args.in_path
    raise UserError(
        f"no {args.part} results in --model_path {args.model_path}: expected <data set>/<protocol>/"
        f"<seed>/<experiment>/{args.part}/experiment.json. Name the result folder with --in_path."
    )


def summarise(rows: "pd.DataFrame", args: argparse.Namespace) -> int:
    """Show and write the tables over seeds."""
    from libs.experiments import averages
    from libs.utils import storage

    table = averages.over_seeds(rows)
    groups = table.groupby(["data_set", "protocol", "experiment"], sort=False)
    shown = [averages.score_table(experiment) for _, experiment in groups]
    newest = None
    if "written" in rows and not args.all:
        newest = tuple(rows.loc[rows["written"].idxmax(), ["data_set", "protocol", "experiment"]])
    for (place, experiment), text in zip(groups, shown, strict=True):
        if newest in (None, place):
            text.show()
        else:
            print(averages.in_one_line(experiment))
    folder = args.out_path / args.subfolder
    if not args.report or args.docs:
        storage.write_text(folder / "summary.csv", table.to_csv(index=False, float_format="%.6g"))
        storage.write_text(folder / "summary.md", "\n".join(one.markdown() for one in shown))
        storage.write_text(folder / "summary.tex", "\n".join(one.latex() for one in shown))
        print(f"summary.csv, summary.md and summary.tex in {folder}")
    if args.docs:
        from libs.reporting.documents import write_documents

        print(*write_documents(rows, results_folder(args), args.docs), sep="\n")
    if args.report:
        from libs.reporting.page import write_report

        print(f"{write_report(rows, folder / 'report')} and its pictures")
    return 0


def compare(rows: "pd.DataFrame", args: argparse.Namespace) -> int:
    """Show and write the papers' tables and their statistics."""
    from libs import Metrics
    from libs.reporting import comparison, rendering
    from libs.utils.errors import lookup

    if args.metric_name:
        lookup(Metrics.COLUMNS, "--metric_name", args.metric_name)
    chosen = {ours: getattr(args, name) or () for name, ours in COMPARING.items()}
    choice = comparison.Choice(
        **{name: value for name, value in chosen.items() if value},
        kinds=("transfer",) if args.is_transfer else ("main",),
        metrics=(args.metric_name,) if args.metric_name else tuple(Metrics.COLUMNS),
    )
    found, remarks = comparison.select_rows(rows, choice)
    print(*remarks, sep="\n", end="\n" if remarks else "")
    rendering.write(
        list(comparison.build_comparisons(found, choice)),
        args.out_path,
        test=args.p_name or "",
        with_std=args.show_stddev,
        means=args.mean_only,
        by_method=not args.transpose,
    )
    if choice.data_set or choice.series:
        from libs.reporting.page import write_sweeps

        for path in write_sweeps(found, args.out_path):
            print(f"{path}.png and .svg")
    return 0


if __name__ == "__main__":
    parser = plain_parser(__doc__)
    add = parser.add_argument
    add("seeds", type=int, nargs="*", metavar="SEED", help="default: all")
    add("--part", choices=("val", "test"), default="test")
    add("--subfolder", default="", help="of evaluate_models.py: all_results")
    add_flag(
        parser, "--all", help="print all tables; default: the newest, and a line for each other"
    )
    add("--docs", type=Path, metavar="FOLDER", help="write a page per paper into it, too")
    add_flag(
        parser, "--report", help="write report/report.html and its pictures instead of summary.*"
    )
    add_folders(parser, in_path="results", out_path="results")
    add("--model_path", type=Path, help="takes the place of --in_path")
    add("--protocol", metavar="NAME", help="this one only")
    add(
        "--methods",
        nargs="+",
        metavar="NAME",
        help="compare these, even if some data sets lack them",
    )
    add("--exp_name", metavar="DATA_SET", help="this one only; with the curves of its sweeps")
    add("--n_anomalies", type=int, nargs="+", metavar="N", help="label budgets (default: all)")
    add("--p_pollution", type=float, nargs="+", metavar="P", help="pollutions (default: all)")
    add("--metric_name", metavar="NAME", help="AUC or AP (default: both)")
    add("--p_name", choices=("wilcoxon", "nemenyi", "friedman"), help="test over data sets")
    add_flag(parser, "--is_transfer", help="with classes that were unknown in training")
    add_flag(parser, "--is_ablation", help="R2-AD2 with one to four checkpoints")
    add_flag(parser, "--first_experiment", help="ARGUE with one to eight normal letters")
    add_flag(parser, "--show_stddev", help="standard deviations over seeds")
    add(
        "--mean_only", type=int, choices=(0, 1, 2), default=0, help="1: only means; 2: all but them"
    )
    add_flag(parser, "--transpose", default=True, help="false: a row per method")
    raise SystemExit(run(main, parser))
