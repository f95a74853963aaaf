"""Tables of one's own: cells, columns, what is learned of them, and how rows are encoded.

Imports `libs.utils`, readers and splits.
"""
