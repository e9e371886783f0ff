"""The gate of a worker: how much may be under way at once, asked before anything of a request is read or proven.

Under overload most requests are refused, and what refusing them costs is taken from those that could be answered.
So a request is refused by its head: its body is thrown away as it comes, nothing is parsed, decoded or verified.
Whoever is let in keeps its place until it is answered, both pictures of a comparison together: nobody is refused
half way because a neighbour came in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import Request

from visavis_client.errors import EngineBusy
from visavis_proxy.bodies import announced_bytes, discard_body, read_body


class InFlightFull(EngineBusy):
    """So many pictures are under way as the worker takes at once."""


class BodiesFull(EngineBusy):
    """The bodies that are held take all the memory that they may."""


class Gate:
    """Counts what is under way in one worker; belongs to one event loop."""

    def __init__(self, *, max_pictures: int, max_body_bytes: int) -> None:
        """While ``max_pictures`` are under way nobody is let in; who comes before, comes in with all of its own."""
        self._max_pictures = max_pictures
        self._max_body_bytes = max_body_bytes
        #: On their way to the engine, or in it.
        self.pictures = 0
        #: Of bodies that have arrived, whole or in part, and whose requests are not answered yet.
        self.body_bytes = 0

    @asynccontextmanager
    async def admit(self, request: Request, *, max_bytes: int, pictures: int) -> AsyncIterator[Place]:
        """Let a request in with its body and ``pictures`` places in the engine, for as long as it is answered.

        A place is taken when the body is there: a slow caller keeps nobody out.

        Raises:
            InFlightFull, BodiesFull: not now; the body has been thrown away.
            BodyTooLarge, ClientDisconnect: see read_body.
        """
        try:
            self._check_pictures()
            self._check_bytes(announced_bytes(request))
        except EngineBusy:
            await discard_body(request)
            raise
        held = _Held(self)
        try:
            body = await read_body(request, max_bytes, held.grow)
            place = Place(self, body, pictures)
            try:
                yield place
            finally:
                place.leave()
        finally:
            self.body_bytes -= held.bytes

    def _check_pictures(self) -> None:
        # Whoever brings several may exceed the bound by all but one: else single pictures would always come first.
        if self.pictures >= self._max_pictures:
            raise InFlightFull(f"{self.pictures} pictures are under way")

    def _check_bytes(self, more: int) -> None:
        if self.body_bytes + more > self._max_body_bytes:
            raise BodiesFull(f"{self.body_bytes} bytes of bodies are held")

    def _enter(self, pictures: int) -> int:
        self._check_pictures()
        self.pictures += pictures
        return pictures

    def _grow(self, more: int) -> int:
        self._check_bytes(more)
        self.body_bytes += more
        return more


class _Held:
    """What one body takes of the memory."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.bytes = 0

    def grow(self, more: int) -> None:
        """Raises BodiesFull."""
        self.bytes += self._gate._grow(more)


class Place:
    """A request that was let in."""

    def __init__(self, gate: Gate, body: bytes, pictures: int) -> None:
        """Raises InFlightFull: others were faster while the body arrived."""
        self._gate = gate
        self._pictures = pictures
        self.body = body
        self._taken = gate._enter(pictures)

    @contextmanager
    def aside(self, *, when: bool) -> Iterator[None]:
        """Keep nobody out while something else than the engine is waited for; then come in again.

        Raises:
            InFlightFull: there is no way back in; nothing has been asked of the engine yet.
        """
        if not when:
            yield
            return
        self.leave()
        yield
        self._taken = self._gate._enter(self._pictures)

    def leave(self) -> None:
        """Give the places back, if they are held."""
        self._gate.pictures -= self._taken
        self._taken = 0
