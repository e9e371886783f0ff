"""The service runs on asyncio alone; the fetchers that most tests ask."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fetching import CONTEXT, HASTY, LOOPBACK

from visavis_proxy.fetch.http import HttpFetcher


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def fetcher() -> AsyncIterator[HttpFetcher]:
    """Allowed to ask the loopback interface."""
    opened = HttpFetcher(LOOPBACK, ssl_context=CONTEXT)
    yield opened
    await opened.close()


@pytest.fixture
async def hasty() -> AsyncIterator[HttpFetcher]:
    """The same, for 0.6 s at most."""
    opened = HttpFetcher(HASTY, ssl_context=CONTEXT)
    yield opened
    await opened.close()
