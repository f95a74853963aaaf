"""Networks that methods build on but that are no rivals: checkpoints, clusterings, experts.

Imports baselines, detectors and what lies below.
"""
