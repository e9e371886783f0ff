"""The fetcher that settings ask for."""

from __future__ import annotations

from visavis_proxy.fetch.fetcher import Fetcher, FetchRefused, Hold, unheld
from visavis_proxy.fetch.http import HttpFetcher
from visavis_proxy.settings import FetchSettings, S3Settings, Settings, SettingsInvalid


class PictureFetcher:
    """Sends each URL to the fetcher of its scheme."""

    def __init__(self, http: Fetcher, s3: Fetcher | None) -> None:
        self._http = http
        self._s3 = s3

    async def fetch(self, url: str, *, max_bytes: int, hold: Hold = unheld) -> bytes:
        """Bytes of an http(s) or s3 URL. Raises: see Fetcher."""
        if url[:5].lower() != "s3://":
            return await self._http.fetch(url, max_bytes=max_bytes, hold=hold)
        if self._s3 is None:
            raise FetchRefused("s3 is off: no bucket is configured")
        return await self._s3.fetch(url, max_bytes=max_bytes, hold=hold)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()
        if self._s3 is not None:
            await self._s3.close()


def open_fetcher(settings: Settings) -> Fetcher:
    """A fetcher of http and https, and of s3 where a bucket is named; it connects to nothing yet.

    Raises:
        SettingsInvalid: a bucket is named and the s3 extra is not installed.
    """
    s3 = _open_s3(settings.s3, settings.fetch) if settings.s3.buckets else None
    return PictureFetcher(HttpFetcher(settings.fetch), s3)


def _open_s3(s3: S3Settings, limits: FetchSettings) -> Fetcher:
    try:
        from visavis_proxy.fetch.s3 import S3Fetcher
    except ImportError as error:
        raise SettingsInvalid(
            f"VISAVIS_S3__BUCKETS is set, but {error.name} is missing: install the extra `s3` "
            "(in the project's folder: pip install '.[s3]')"
        ) from error
    return S3Fetcher(s3, limits)
