"""Lists in environment variables: values with commas between them, or JSON."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def split_list(value: object) -> object:
    """The parts of a text; anything but a text passes, for the type to judge.

    Raises:
        ValueError: it begins as JSON and is none.
    """
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return [part for part in map(str.strip, value.split(",")) if part]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('neither values with commas between them nor a list in JSON, such as ["a", "b"]') from None


def _networks(value: object) -> object:
    parts = split_list(value)
    if not isinstance(parts, list):
        return parts
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"{error}; networks are written as 10.1.0.0/16, 2001:db8::/32") from None


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
