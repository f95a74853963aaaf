"""What every room may use: storage, seeds, errors, progress, the command line, TensorFlow's start.

It knows nothing of data, networks or methods, and imports no other room.
"""
