"""What is found out once for a connection, and holds for all of its requests."""

from __future__ import annotations

from typing import Any, Final

from starlette.types import Scope

#: Where the workers' HTTP protocol lays a connection's own table, in a request's ``state``.
OF_CONNECTION: Final = "visavis.connection"


def of_connection(scope: Scope) -> dict[str, Any]:
    """The table of a request's connection; of the request alone, where the server keeps none."""
    found: dict[str, Any] = scope.setdefault("state", {}).setdefault(OF_CONNECTION, {})
    return found
