"""Seeing what a plan would do to those who are there, before it is made live."""
