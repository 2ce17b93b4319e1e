"""The two ways a command may end badly, each with one line for the user."""


class RequestError(Exception):
    """What was asked for cannot be done as asked (exit status 2).

    The message names the key or the file, what was found and what is allowed.
    """


class RunError(Exception):
    """A well-formed request failed on the way, e.g. on a full disk (exit status 1)."""


def status_of(error: BaseException) -> int:
    """The exit status of a command that this ended."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 130 if isinstance(error, KeyboardInterrupt) else 2 if isinstance(error, RequestError) else 1
