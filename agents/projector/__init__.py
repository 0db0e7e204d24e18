"""The projector: the log folded into tables that the console reads."""
