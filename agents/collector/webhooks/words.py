"""The words by which people stop, start and ask for help in a text message."""

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "ARRET", "ARRÊT"})
START = frozenset({"START", "UNSTOP"})
HELP = frozenset({"HELP", "INFO", "AIDE"})


def word_of(text: str) -> str:
    """Return an answer as it is compared with the words."""
    return text.strip().strip(".!\"'").upper()
