"""The papers' settings as data, one file each; `registry` names them.

Imports methods, baselines and `libs.experiments.study`.
"""
