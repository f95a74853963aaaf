"""The loop that all networks share, optimisers, early stopping.

Imports `libs.utils`; knows no method.
"""
