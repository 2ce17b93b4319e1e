"""How a command may end before it is done, each with one line for the user."""

# The exit status of a trial that was pruned.
PRUNED = 3


class RequestError(Exception):
    """What was asked for cannot be done as asked (exit status 2).

    The message names the key or the file, what was found and what is allowed.
    """


class RunError(Exception):
    """A well-formed request failed on the way, e.g. on a full disk (exit status 1)."""


class Pruned(Exception):
    """A trial of a sweep that is not worth going on with (exit status `PRUNED`); no failure."""


def status_of(error: BaseException) -> int:
    """The exit status of a command that this ended."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    statuses = {KeyboardInterrupt: 130, RequestError: 2, Pruned: PRUNED}
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), 1)
