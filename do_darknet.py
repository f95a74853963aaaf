#!/usr/bin/env python
"""CIC-Darknet2020: network flows; those through Tor or a VPN are anomalies.

r2ad2 (Schulze et al.; ECML-PKDD 2022): Tor and VPN known; then only Tor.

argue (Schulze, Sperl, Böttinger; IJCNN 2022): an expert for each IP protocol of the other
flows; Tor and VPN unknown, with 1 % contamination, or known.

best: our settings; Tor known, VPN unknown.

    A3_DATA=/where/the/data/is python do_darknet.py 110 test
    A3_DATA=/where/the/data/is python do_darknet.py 110 test --protocol argue
"""

from libs.experiments.script import study_parser, study_script


def r2ad2(args):
    """Tor and VPN known; then only Tor."""
    from libs.experiments.protocols.r2ad2 import r2ad2_study

    return r2ad2_study(
        "darknet",
        normal=("Non-Tor", "NonVPN"),
        anomalies=("Tor", "VPN"),
        transfer=("Tor",),
        dims=(60, 30, 15),
        batch_size=1024,
    )


def argue(args):
    """Flows of three IP protocols against Tor and VPN."""
    from libs.experiments.protocols.argue import argue_study

    return argue_study(
        "darknet",
        normal_by="Protocol",
        normal=("0", "6", "17"),
        anomalies=("Tor", "VPN"),
        dims=(100, 80, 60, 40, 20, 10),
        batch_size=1024,
        clusters=4,
    )


def best(args):
    """Tor known, VPN unknown."""
    from libs.datasets.splits.experiment import Experiment
    from libs.experiments.protocols.best import best_study

    return best_study("darknet", Experiment(("Non-Tor", "NonVPN"), ("Tor",), ("VPN",)))


PROTOCOLS = {"r2ad2": r2ad2, "argue": argue, "best": best}

if __name__ == "__main__":
    raise SystemExit(study_script(study_parser(__doc__, PROTOCOLS)))
