"""Scenario files to a compiled plan: parse with places, expressions, compile, check, test."""
