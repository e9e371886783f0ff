"""Stands in for uvloop where it is found first: asyncio's own event loop under uvloop's name."""

from asyncio import new_event_loop

__all__ = ["new_event_loop"]
