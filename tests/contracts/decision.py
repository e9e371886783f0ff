"""What a vendor's client makes of two pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """One comparison as the caller of one contract sees it."""

    #: The client's own name, and the contract's name of the number.
    client: str
    measure: str
    value: float
    #: The contract's threshold of one false match in 10 000.
    threshold: float

    @property
    def same_person(self) -> bool:
        return self.value >= self.threshold
