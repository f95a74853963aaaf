#!/usr/bin/env python
"""Score saved models again, without training, and write all metrics of a seed to one file.

Writes the metrics, ROC files and ROC pictures of every experiment of SEED in the model folder, and
all_results_SEED.csv: AUC, AP, prevalence, and F1, precision and recall at thresholds with
false-positive rates of at most 1e-2 ... 1e-6 on normal validation rows (empty if these are too
few). The column largest_difference compares with the scores stored when the run was trained.

    python evaluate_models.py 706
    python evaluate_models.py 706 --use_vae 1       # only A3 with a VAE as anomaly network
"""

import argparse
from pathlib import Path

from libs.utils.command_line import add_flag, add_folders, plain_parser, run


def main(args: argparse.Namespace) -> int:
    """Score every saved experiment of a seed."""
    from libs.utils.runtime import start_tensorflow

    start_tensorflow()
    import pandas as pd

    from libs.experiments.migration import shorten_names
    from libs.experiments.rescoring import Rescorer, saved_experiments
    from libs.utils import storage
    from libs.utils.errors import UserError

    if args.folder_suffix not in ("", f"_{args.seed}"):
        raise UserError(
            f"--folder_suffix {args.folder_suffix}: model folders carry the seed by themselves; "
            f"expected _{args.seed}, or name another folder with --in_path"
        )
    for folder in [args.in_path, args.out_path]:
        for seed in folder.glob(f"*/*/{args.seed}"):
            shorten_names(seed)
    method = "A3-vae" if args.use_vae else "*"
    rescorer = Rescorer(args.data_path, args.part, args.out_path, method)
    folders = saved_experiments(args.in_path, args.seed, method)
    table = pd.concat([rescorer.rescore(folder) for folder in folders])
    if not len(table):
        raise UserError(f"no finished run of seed {args.seed} with labels in {args.in_path}")
    folder = args.out_path / ("all_results_vae" if args.use_vae else "all_results")
    path = folder / f"all_results_{args.seed}.csv"
    with storage.replaced_file(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    gap = table["largest_difference"].max()
    print(f"{len(table)} rows in {path}; largest difference to the kept scores: {gap:g}")
    return 0


def parser_of_script() -> argparse.ArgumentParser:
    """The command line."""
    parser = plain_parser(__doc__)
    parser.add_argument("seed", type=int, metavar="SEED")
    parser.add_argument("part", nargs="?", choices=("val", "test"), default="test")
    add_folders(parser, in_path="models", out_path="results")
    parser.add_argument("--data_path", type=Path, help="raw files (default: $A3_DATA, or data)")
    parser.add_argument("--folder_suffix", default="", help="_SEED, as the authors' folders end")
    add_flag(
        parser,
        "--use_vae",
        help="only A3 with a VAE as anomaly network; into all_results_vae",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(run(main, parser_of_script()))
