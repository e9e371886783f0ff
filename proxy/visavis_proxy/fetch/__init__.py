"""Pictures from elsewhere: http, https and s3, without becoming anyone's way into the inside network."""

from visavis_proxy.fetch.fetcher import (
    Fetcher,
    FetchError,
    FetchFailed,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    Hold,
    unheld,
)
from visavis_proxy.fetch.opening import open_fetcher

__all__ = [
    "FetchError",
    "FetchFailed",
    "FetchRefused",
    "FetchTimeout",
    "FetchTooLarge",
    "Fetcher",
    "Hold",
    "open_fetcher",
    "unheld",
]
