"""The rooms' doors: a call of an operation's own method and path is handed to it without a search.

Requests for anything else go the way of every FastAPI app: through its middleware and along all rooms' routes, which
costs more than most of what a room does. A door takes the request and gives a response, and needs nothing of that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Door = Callable[[Request], Awaitable[Response]]

_METHOD: Final = "POST"


def doors_of(room: APIRouter) -> dict[str, Door]:
    """A room's operations by their paths: all that are called with POST."""
    operations = (route for route in room.routes if isinstance(route, APIRoute))
    return {route.path: route.endpoint for route in operations if _METHOD in (route.methods or ())}


class Doors:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, doors: Mapping[str, Door]) -> None:
        """``doors``: by path, all of them for POST; no other route of the app may match them first."""
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open a door, or pass a request on."""
        door = self._doors.get(scope["path"]) if scope["type"] == "http" and scope["method"] == _METHOD else None
        if door is None:
            await self._app(scope, receive, send)
            return
        # As a router does, for who looks at it on the way back.
        scope["endpoint"] = door
        response = await door(Request(scope, receive))
        await response(scope, receive, send)
