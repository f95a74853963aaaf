"""The one error that a person can put right."""


class UserError(Exception):
    """Wrong input, settings or folders.

    The message says what was expected, what was found, where, and what to do. Scripts print it
    without a traceback and end with exit code 2.
    """
