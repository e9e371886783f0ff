"""The gate of a worker: how much may be under way at once, asked before anything of a request is read or proven.

Under overload most requests are refused, and what refusing them costs is taken from those that could be answered.
So a request is refused by its head: its body is thrown away as it comes, nothing is parsed, decoded or verified.
Whoever is let in keeps its place until it is answered, both pictures of a comparison together: nobody is refused
half way because a neighbour came in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum

from starlette.requests import Request

from visavis_client.errors import EngineBusy
from visavis_proxy.bodies import announced_bytes, discard_body, read_body
from visavis_proxy.stages import Stage, begin, during


class InFlightFull(EngineBusy):
    """So many pictures are under way as the worker takes at once."""


class BodiesFull(EngineBusy):
    """The bodies and fetched pictures that are held take all the memory that they may."""


class Level(Enum):
    """What a gate counts."""

    #: On their way to the engine, or in it.
    PICTURES = "pictures"
    #: Of bodies and fetched pictures that have arrived, whole or in part, and whose requests are not answered yet. A
    #: body is counted as it was sent until then, though its pictures alone are held by the time they are analysed.
    BODY_BYTES = "body bytes"
    #: Requests whose body is still on its way.
    READING = "reading"
    #: Requests that stepped aside while their pictures are fetched from elsewhere.
    FETCHING = "fetching"


class Gate:
    """Counts what is under way in one worker; belongs to one event loop."""

    def __init__(self, *, max_pictures: int, max_body_bytes: int, body_timeout_s: float) -> None:
        """Rejects once ``max_pictures`` are in flight; an admitted request may exceed it by its own second picture.

        ``body_timeout_s``: see Settings.
        """
        self.max_pictures = max_pictures
        self.max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._levels = dict.fromkeys(Level, 0)
        self._show: Callable[[Level, int], None] = _unseen

    @property
    def pictures(self) -> int:
        """See Level."""
        return self._levels[Level.PICTURES]

    @property
    def body_bytes(self) -> int:
        """See Level."""
        return self._levels[Level.BODY_BYTES]

    def watch(self, show: Callable[[Level, int], None]) -> None:
        """Have every level shown: now, and whenever it changes."""
        self._show = show
        for level, value in self._levels.items():
            show(level, value)

    def count(self, level: Level, more: int) -> None:
        """Add to a level, or take away."""
        self._levels[level] += more
        self._show(level, self._levels[level])

    @contextmanager
    def _counted(self, level: Level) -> Iterator[None]:
        self.count(level, 1)
        try:
            yield
        finally:
            self.count(level, -1)

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
            place = await self._place(request, max_bytes, pictures, held)
            try:
                yield place
            finally:
                place.leave()
        finally:
            self.count(Level.BODY_BYTES, -held.bytes)

    async def _place(self, request: Request, max_bytes: int, pictures: int, held: _Held) -> Place:
        # Apart from admit, which would keep the body for as long as the request is answered.
        with self._counted(Level.READING):
            body = await read_body(request, max_bytes, held.grow, within_s=self._body_timeout_s)
        begin(Stage.PARSE)
        return Place(self, body, pictures, held)

    def _check_pictures(self) -> None:
        # Whoever brings several may exceed the bound by all but one: else single pictures would always come first.
        if self.pictures >= self.max_pictures:
            raise InFlightFull(f"{self.pictures} pictures are under way")

    def _check_bytes(self, more: int) -> None:
        if self.body_bytes + more > self.max_body_bytes:
            raise BodiesFull(f"{self.body_bytes} bytes of bodies and fetched pictures are held")

    def _enter(self, pictures: int) -> int:
        self._check_pictures()
        self.count(Level.PICTURES, pictures)
        return pictures

    def _grow(self, more: int) -> int:
        self._check_bytes(more)
        self.count(Level.BODY_BYTES, more)
        return more


def _unseen(_level: Level, _value: int) -> None:
    """Nobody watches."""


class _Held:
    """What one request takes of the memory: its body, and the pictures that are fetched for it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.bytes = 0

    def grow(self, more: int) -> None:
        """Raises BodiesFull."""
        self.bytes += self._gate._grow(more)


class Place:
    """A request that was let in."""

    def __init__(self, gate: Gate, body: bytes, pictures: int, held: _Held) -> None:
        """Raises InFlightFull: others were faster while the body arrived."""
        self._gate = gate
        self._pictures = pictures
        self._held = held
        #: Empty once it is taken.
        self.body = body
        self._taken = gate._enter(pictures)

    def take_body(self) -> bytes:
        """The body, for a parser that is the last to need it: held here, it would lie in memory until the answer."""
        body, self.body = self.body, b""
        return body

    def hold(self, more: int) -> None:
        """Count bytes that the request keeps beside its body, until it is answered.

        Raises:
            BodiesFull: there is no room for them; nothing is counted.
        """
        self._held.grow(more)

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
        with self._gate._counted(Level.FETCHING), during(Stage.FETCH):
            yield
        self._taken = self._gate._enter(self._pictures)

    def leave(self) -> None:
        """Give the places back, if they are held."""
        if self._taken:
            self._gate.count(Level.PICTURES, -self._taken)
        self._taken = 0
