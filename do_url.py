#!/usr/bin/env python
"""ISCX-URL-2016: lexical features of URLs, benign and of four attacks.

r2ad2 (Schulze et al.; ECML-PKDD 2022): all attacks known; then only defacement and malware.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each value of ldl_domain among benign
URLs; attacks unknown, with 1 % contamination, or known.

best: our settings; two attacks known, two unknown.

    A3_DATA=/where/the/data/is python do_url.py 110 test
    A3_DATA=/where/the/data/is python do_url.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script


def r2ad2(args):
    """Four attacks known; then two of them."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "url",
        normal=("benign",),
        anomalies=("Defacement", "malware", "phishing", "spam"),
        transfer=("Defacement", "malware"),
        dims=(60, 30, 15),
        batch_size=64,
    )


def argue(args):
    """Two kinds of benign URLs against all attacks."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "url",
        normal_by="ldl_domain",
        normal=("0", "1"),
        anomalies=("Defacement", "malware", "phishing", "spam"),
        dims=(100, 80, 60, 40, 20, 10),
        batch_size=64,
        clusters=3,
    )


def best(args):
    """Two attacks known, two unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    known, unknown = ("Defacement", "malware"), ("phishing", "spam")
    return best_study("url", Experiment(("benign",), known, unknown))


PROTOCOLS = {"r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
