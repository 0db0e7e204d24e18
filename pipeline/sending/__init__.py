"""The sequence that carries out commands: checks, intents, calls, outcomes; providers and hosts plug in."""
