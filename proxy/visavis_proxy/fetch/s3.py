"""Pictures of ``s3://bucket/key``, from the buckets an operator names.

The endpoint and the buckets are an operator's choice, so that no address is judged here; credentials, proxies
and authorities come from where AWS clients look for them. Every key of a named bucket can be read by every
caller: name buckets that hold such pictures and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import botocore.exceptions
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from visavis_proxy.fetch.fetcher import FetchError, FetchFailed, FetchRefused, FetchTimeout, Hold, collect, unheld
from visavis_proxy.settings import FetchSettings, S3Settings

SCHEME: Final = "s3://"
_PIECE = 64 * 1024
_LONGEST_KEY = 1024


class S3Fetcher:
    """One client, opened with the first picture."""

    def __init__(self, s3: S3Settings, limits: FetchSettings) -> None:
        self._s3 = s3
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.max_concurrent)
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._session = get_session()
        self._client: Any = None

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        """Bytes of an object; waiting for a turn counts as time. Raises: see Fetcher."""
        bucket, key = self._parse(url)
        place = SCHEME + bucket
        try:
            async with asyncio.timeout(self._limits.total_timeout_s), self._slots:
                return await self._get(bucket, key, max_bytes, hold)
        except FetchError:
            raise
        except (TimeoutError, botocore.exceptions.ConnectTimeoutError, botocore.exceptions.ReadTimeoutError):
            raise FetchTimeout(f"{place} takes too long") from None
        except botocore.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "an error")
            raise FetchFailed(f"{place} answers {code}") from None
        except (botocore.exceptions.BotoCoreError, aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed(f"{place}: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go of connections."""
        await self._stack.aclose()

    def _parse(self, url: str) -> tuple[str, str]:
        # Not by a URL library: a key may hold any character, "?", "#" and "%" among them, and means it.
        bucket, _, key = url[len(SCHEME) :].partition("/")
        if bucket not in self._s3.buckets:
            raise FetchRefused("an s3 bucket that is not among the configured ones")
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise FetchRefused("an s3 key that is no text") from None
        # A dot segment may be resolved on the way, and would then lead to another bucket.
        if not 0 < length <= _LONGEST_KEY or {".", ".."} & set(key.split("/")):
            raise FetchRefused("an s3 key that is empty, too long, or holds dot segments")
        return bucket, key

    async def _get(self, bucket: str, key: str, max_bytes: int, hold: Hold) -> bytes:
        client = await self._opened()
        answer = await client.get_object(Bucket=bucket, Key=key)
        body = answer["Body"]
        async with body:  # not "as": that would be the response inside, which reads all at once
            announced = str(answer.get("ContentLength", ""))
            return await collect(_pieces(body), SCHEME + bucket, announced=announced, max_bytes=max_bytes, hold=hold)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                config = AioConfig(
                    connect_timeout=self._limits.connect_timeout_s,
                    read_timeout=self._limits.total_timeout_s,
                    max_pool_connections=self._limits.max_concurrent,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                )
                creating = self._session.create_client(
                    "s3", endpoint_url=self._s3.endpoint_url, region_name=self._s3.region, config=config
                )
                self._client = await self._stack.enter_async_context(creating)
            return self._client


async def _pieces(body: Any) -> AsyncIterator[bytes]:
    while piece := await body.read(_PIECE):
        yield piece
