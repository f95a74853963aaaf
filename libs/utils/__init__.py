"""Shared utilities: storage, seeds, errors, progress, the command line, starting TensorFlow.

Knows nothing of data, networks or methods, and imports no other folder.
"""
