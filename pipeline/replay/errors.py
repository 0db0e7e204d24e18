"""The errors of a replay: nothing is reported of a log that cannot be read whole."""

from pipeline.errors import UsageError


class LogError(UsageError):
    """The recorded log cannot give a whole answer: a gap, a partition that is missing, a newer version, nothing in it.

    Exit code 2: no report is given.
    """
