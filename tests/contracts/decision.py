"""What a vendor's client makes of two pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One comparison as the caller of one contract sees it."""

    #: The client's own name.
    client: str
    #: The number and the threshold, in the contract's words.
    answer: str
    same_person: bool
