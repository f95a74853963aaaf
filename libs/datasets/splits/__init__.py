"""Which rows: views of rows that are read when needed, classes of an experiment, cuts by a seed.

Imports `libs.utils`.
"""
