#!/usr/bin/env python
"""Aggregate result files over seeds, and tell whether methods differ.

Without options: mean, standard deviation and count of every run. Prints one table per experiment
with the best of each column marked, and writes summary.csv, summary.md and summary.tex into the
output folder. With --subfolder it reads the files that evaluate_models.py left there; summary.csv
then holds F1, precision and recall too. --readme also puts the tables into a file, between the
lines <!-- table DATA_SET PROTOCOL EXPERIMENT --> and <!-- /table -->. --report also writes
report.html, one page that needs no web, and its pictures.

With one of the options from --protocol on: the methods against each other over data sets, as in
the papers of R2-AD2 and ARGUE, into comparison.csv, .pairs.csv, .md and .tex.

    python evaluate_results.py                 # all seeds
    python evaluate_results.py 706 3003 3103   # these only
    python evaluate_results.py --subfolder all_results
    python evaluate_results.py --readme README.md --report      # make tables
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
    """Collect; then the tables over seeds, or methods against each other."""
    from libs.reporting import collection
    from libs.utils.errors import UserError

    asked = [name for name in (*COMPARING, *SHOWING) if getattr(args, name)]
    comparing = bool(asked) or not args.transpose
    if sum([bool(args.subfolder), comparing, args.report]) > 1 or (comparing and args.readme):
        raise UserError(
            "--subfolder goes with --readme alone, and the options from --protocol on with none of "
            "--subfolder, --readme and --report: start the script twice"
        )
    if args.subfolder:
        return summarise(
            collection.collect_rescored(args.in_path / args.subfolder, args.seeds), args
        )
    rows = collection.collect(results_folder(args), args.part, args.seeds)
    return compare(rows, args) if comparing else summarise(rows, args)


def results_folder(args: argparse.Namespace) -> Path:
    """Where the result files lie: the papers' scripts leave them beside the models."""
    beside = args.model_path and next(args.model_path.glob("*/*/*/*/*/experiment.json"), None)
    return args.model_path if beside else args.in_path


def summarise(rows: "pd.DataFrame", args: argparse.Namespace) -> int:
    """Tables over seeds: show, write."""
    from libs.experiments import result_tables
    from libs.plotting.tables import show
    from libs.reporting import collection, comparison
    from libs.reporting import comparison_tables as overview
    from libs.utils import storage

    table = result_tables.over_seeds(rows)
    markdown, latex = {}, {}
    for place, experiment in table.groupby(["data_set", "protocol", "experiment"], sort=False):
        caption = result_tables.caption(experiment)
        show(result_tables.pivot(experiment, "[bold]{}[/]".format), caption)
        markdown[place] = collection.markdown(
            result_tables.pivot(experiment, "**{}**".format), caption
        )
        latex[place] = collection.latex(
            result_tables.pivot(experiment, r"\textbf{{{}}}".format), caption
        )
    folder = args.out_path / args.subfolder
    storage.write_text(folder / "summary.csv", table.to_csv(index=False, float_format="%.6g"))
    for suffix, texts in {"md": markdown, "tex": latex}.items():
        storage.write_text(folder / f"summary.{suffix}", "\n".join(texts.values()))
    if args.readme and not args.subfolder:
        choice = comparison.Choice(kinds=tuple(comparison.KINDS))
        compared = comparison.comparisons(comparison.selected(rows, choice)[0], choice)
        markdown |= overview.for_readme(list(compared))
    if args.readme:
        storage.write_text(args.readme, collection.filled(args.readme.read_text(), markdown))
    print(f"summary.csv, summary.md and summary.tex in {folder}")
    if args.report:
        from libs.reporting.page import write_report

        print(f"{write_report(rows, folder)} and its pictures")
    return 0


def compare(rows: "pd.DataFrame", args: argparse.Namespace) -> int:
    """The papers' tables and their statistics: show, write."""
    from libs.reporting import comparison
    from libs.reporting import comparison_tables as overview

    chosen = {ours: getattr(args, name) or () for name, ours in COMPARING.items()}
    choice = comparison.Choice(
        **{name: value for name, value in chosen.items() if value},
        kinds=("transfer",) if args.is_transfer else ("main",),
        metrics=(args.metric_name,) if args.metric_name else ("AUC", "AP"),
    )
    found, remarks = comparison.selected(rows, choice)
    print(*remarks, sep="\n", end="\n" if remarks else "")
    overview.write(
        list(comparison.comparisons(found, choice)),
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
    add("--readme", type=Path, metavar="FILE", help="put the tables into it, too")
    add_flag(parser, "--report", help="write report.html and its pictures, too")
    add_folders(parser, in_path="results", out_path="results")
    add("--model_path", type=Path, help="takes the place of --in_path if results lie there")
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
    add("--metric_name", choices=("AUC", "AP"), help="default: both")
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
