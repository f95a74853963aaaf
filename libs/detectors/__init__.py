"""The contract that every method keeps, the registry of methods, explanations, models on disk.

Imports training, architecture, datasets, `libs.Metrics` and utils; knows no method.
"""
