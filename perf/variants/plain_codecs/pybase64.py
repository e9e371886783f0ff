"""Stands in for pybase64 where it is found first: Python's own base64 under its name."""

from base64 import b64decode

__all__ = ["b64decode"]
