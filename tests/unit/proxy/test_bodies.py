"""Bodies are counted while they arrive; one that is too large is read to its end and thrown away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from visavis_client.errors import EngineBusy
from visavis_proxy import bodies
from visavis_proxy.bodies import UNREAD, BodyTooLarge, BodyTooSlow, discard_body


class Sender:
    """A caller who sends those pieces and then, if told so, nothing more without an end."""

    def __init__(self, pieces: Iterable[bytes], *, ends: bool = True, leaves: bool = False) -> None:
        self._messages = self._say(list(pieces), ends, leaves)
        self.sent = 0

    async def _say(self, pieces: list[bytes], ends: bool, leaves: bool) -> AsyncIterator[dict[str, Any]]:
        for at, piece in enumerate(pieces):
            self.sent += len(piece)
            yield {"type": "http.request", "body": piece, "more_body": not ends or at < len(pieces) - 1}
        if leaves:
            yield {"type": "http.disconnect"}
        await asyncio.Event().wait()

    async def __call__(self) -> dict[str, Any]:
        return await anext(self._messages)


def request(sender: Sender, length: str | None = None) -> Request:
    headers = [(b"content-length", length.encode())] if length else [(b"transfer-encoding", b"chunked")]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, sender)


async def read_body(incoming: Request, limit: int, *, within_s: float = 30) -> bytes:
    """Where there is room for everything."""
    return await bodies.read_body(incoming, limit, lambda _: None, within_s=within_s)


async def refused(incoming: Request, limit: int) -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(incoming, limit)


def test_a_body_in_pieces_comes_out_whole() -> None:
    assert asyncio.run(read_body(request(Sender([b"ab", b"", b"cd"])), 4)) == b"abcd"


def test_a_body_of_exactly_the_limit_passes() -> None:
    assert asyncio.run(read_body(request(Sender([b"abcd"]), "4"), 4)) == b"abcd"


@pytest.mark.parametrize("length", [None, "9", "999999999999999999999999", "x"])
def test_a_body_over_the_limit_is_read_to_its_end_before_it_is_refused(length: str | None) -> None:
    sender = Sender([b"abc", b"def", b"ghi"])
    incoming = request(sender, length)
    asyncio.run(refused(incoming, 4))
    assert sender.sent == 9
    assert UNREAD not in incoming.scope


def test_draining_ends_at_a_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DRAIN_BYTES", 10)
    sender = Sender([b"abcde"] * 100)
    incoming = request(sender)
    asyncio.run(refused(incoming, 4))
    assert sender.sent == 20
    assert incoming.scope[UNREAD]


def test_draining_ends_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "DRAIN_TIMEOUT_S", 0.02)
    incoming = request(Sender([b"abcde"], ends=False))
    asyncio.run(refused(incoming, 4))
    assert incoming.scope[UNREAD]


def test_a_body_that_never_ends_is_given_up() -> None:
    incoming = request(Sender([b"a"], ends=False))
    with pytest.raises(BodyTooSlow):
        asyncio.run(read_body(incoming, 4, within_s=0.02))
    assert incoming.scope[UNREAD]


def test_a_caller_who_leaves_is_told_apart() -> None:
    with pytest.raises(ClientDisconnect):
        asyncio.run(read_body(request(Sender([b"a"], ends=False, leaves=True)), 4))


def test_a_body_without_room_is_thrown_away_from_there_on() -> None:
    """Each piece is announced before it is kept; a refusal gives the room back, and the rest is read unannounced."""
    told: list[int] = []

    def count(size: int) -> None:
        told.append(size)
        if sum(told) > 4:
            raise EngineBusy

    sender = Sender([b"abc", b"def", b"ghi"])
    with pytest.raises(EngineBusy):
        asyncio.run(bodies.read_body(request(sender), 100, count, within_s=30))
    assert (told, sender.sent) == ([3, 3, -3], 9)


def test_a_body_is_thrown_away_to_its_end() -> None:
    sender = Sender([b"abc"] * 3)
    asyncio.run(discard_body(request(sender, "9")))
    assert sender.sent == 9


def test_a_sender_who_asks_before_it_sends_is_answered_at_once() -> None:
    """Nothing is read of it: to read would be to ask for it; the connection ends with the answer."""
    sender = Sender([b"abc"])
    incoming = request(sender, "3")
    incoming.scope["headers"].append((b"expect", b"100-continue"))
    asyncio.run(discard_body(incoming))
    assert sender.sent == 0
    assert incoming.scope[UNREAD]
