"""Source topics to the journal."""
