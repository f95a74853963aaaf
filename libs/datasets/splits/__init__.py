"""Which rows: lazy views of rows, the classes of an experiment, random splits by seed.

Imports `libs.utils`.
"""
