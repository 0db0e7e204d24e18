"""Thin shells that own sockets and loops."""
