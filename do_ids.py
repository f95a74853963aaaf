#!/usr/bin/env python
"""Intrusion detection: network flows with families of attacks.

a3 (Sperl, Schulze, Böttinger; ECML-PKDD 2020), for CSE-CIC-IDS2018: all families but one known in
training. Dense autoencoder 150-80-40-20 as target, 60 epochs of the alarm network at 1e-5, batches
of 2048, with 5, 25, 50 and 100 known anomalies. On a sample, batches have 256 rows and all
networks train longer, until the alarm network has made 10,000 updates.

r2ad2 (Schulze et al.; ECML-PKDD 2022): without DoS; dense autoencoder 60-40-20, batches of
8192. The authors use only the files of days without DoS; here those flows are left out.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each of six days without DoS and DDoS;
the same four families unknown, with 1 % contamination, or known. The authors' code also feeds the
day to the networks, which gives attacks away by their date; --keep_class_feature does so, too.

Without the files of 2018, CIC-IDS2017 is used instead. Infiltration of 2017 is almost
all port scans (7,329 of 7,365 flows).

best: our settings; the experiments of a3.

Under a3, with --n_train_anomalies 5 100, the trainings of a seed on the sample of 2017 take 9
minutes on two busy cores. Expect, with 100 known anomalies (AUC / AP, means of three seeds): Bot
unknown, known .996 / .999, transfer .994 / .998, unknown .887 / .309; BruteForce unknown,
.995 / .998, .955 / .989 and .793 / .644.

    A3_DATA=/where/the/data/is python do_ids.py 706 test
    A3_DATA=/where/the/data/is python do_ids.py 110 test --protocol r2ad2
    A3_DATA=/where/the/data/is python do_ids.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script
from libs.utils.command_line import add_flag


def a3(args):
    """Bot, and BruteForce, as the unknown attack."""
    from baselines import Autoencoder
    from libs.DataHandler import Experiment, SplitRules
    from libs.experiments.protocols.a3 import a3_cells, a3_methods
    from libs.experiments.study import Study

    normal, others = ("Benign",), ("DoS", "WebAttacks", "Infiltration")

    def methods(handler):
        batch = 256 if handler.data.is_sample else 2048
        times = handler.epoch_factor(normal, epochs=60, batch_size=batch)
        return a3_methods(Autoencoder(dims=(150, 80, 40, 20)), batch_size=batch, times=times)

    return Study(
        "ids",
        rules=SplitRules(test=0.2, validation=0.05),
        cells=a3_cells(
            Experiment(normal, known=("BruteForce", *others), unknown=("Bot",)),
            Experiment(normal, known=("Bot", *others), unknown=("BruteForce",)),
        ),
        methods=methods,
    )


def r2ad2(args):
    """Four families known; then only Bot and BruteForce."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "ids",
        normal=("Benign",),
        anomalies=("Bot", "BruteForce", "Infiltration", "WebAttacks"),
        transfer=("Bot", "BruteForce"),
        dims=(60, 40, 20),
        batch_size=8192,
    )


def argue(args):
    """Benign flows of several days against four families."""
    from libs.datasets import ids
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "ids+day" if args.keep_class_feature else "ids",
        normal_by="day",
        normal=ids.days(args.data_path),
        anomalies=("Bot", "BruteForce", "Infiltration", "WebAttacks"),
        dims=(150, 120, 80, 60, 40, 20),
        batch_size=8192,
        clusters=2,
    )


def best(args):
    """Bot, and BruteForce, as the unknown attack."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    normal, others = ("Benign",), ("DoS", "WebAttacks", "Infiltration")
    return best_study(
        "ids",
        Experiment(normal, ("BruteForce", *others), ("Bot",)),
        Experiment(normal, ("Bot", *others), ("BruteForce",)),
    )


PROTOCOLS = {"a3": a3, "r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    parser = study_parser(__doc__, PROTOCOLS)
    add_flag(parser, "--keep_class_feature", help="argue: the day is an input as well")
    raise SystemExit(study_script(parser))
