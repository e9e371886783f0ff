"""Addresses below a prefix, all of them."""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor


class _Anything(PathConvertor):
    """Starlette's own ``path`` ends at a line break, which a percent-encoded path may hold."""

    regex = "(?s:.*)"


def below(prefix: str) -> tuple[str, str]:
    """The routes that match a prefix and whatever lies below it."""
    register_url_convertor("anything", _Anything())
    return prefix, f"{prefix}/{{rest:anything}}"
