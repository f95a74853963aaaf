"""Experiments with methods: protocols, studies, training, stored runs, scoring, sweeps.

`libs.ExperimentWrapper` is its front door. Imports methods, baselines and what lies below.
"""
