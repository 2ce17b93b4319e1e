"""The two ways a command may end badly, each with one line for the user."""


class RequestError(Exception):
    """What was asked for cannot be done as asked (exit status 2).

    The message names the key or the file, what was found and what is allowed.
    """


class RunError(Exception):
    """A well-formed request failed on the way, e.g. on a full disk (exit status 1)."""


class Pruned(Exception):
    """A trial of a sweep that is not worth going on with (exit status 3); no failure."""
