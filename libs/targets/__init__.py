"""Networks that a method builds on and that are no rivals: clusterings, experts of a class each.

Imports baselines, detectors and what lies below.
"""
