"""The journeys worker: a Faust application around one runtime a partition."""
