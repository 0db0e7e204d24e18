"""Frozen records shared by every stage; this package imports nothing else of the project."""
