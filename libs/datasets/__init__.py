"""Data sets, one file each: where the file is, which columns, which classes.

`registry` names them. No network, no method and no TensorFlow in here; imports utils and its own
folders `readers` (bytes to columns), `tabular` (tables of one's own) and `splits`.
"""
