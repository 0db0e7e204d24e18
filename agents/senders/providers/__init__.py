"""Providers over HTTP: each maps a message to a call, and an answer to an outcome."""
