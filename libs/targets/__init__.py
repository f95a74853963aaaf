"""What a method builds on and what is no rival: checkpoints, experts, a clustering, readers.

Imports baselines, detectors and what lies below.
"""
