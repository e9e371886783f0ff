"""Whether anything got worse: what came out so is measured again before it is called a regression.

Two benches of one product differ by more than the runs within each do: a machine that others use as well is another one
an hour later. So one bench alone tells of no regression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from visavis_perf.ratios import Change, compare, ratios, without_figure

Record = Mapping[str, Any]
#: How often at most what came out worse is measured again.
AGAIN = 2
#: A regression is seen by so many measurements that count, and by their median.
_SEEN = 2


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    changes: list[Change]
    #: Of the first bench, and of those that measured again.
    records: list[Record]
    #: Names of those that came out worse, and that no steady measurement came after.
    unconfirmed: tuple[str, ...] = ()

    @property
    def worse(self) -> list[str]:
        """Names of the ratios that got worse."""
        return [change.name for change in self.changes if change.worse]


def once(before: Record, now: Record) -> Checked:
    """One record as it is: nothing can be measured again."""
    return Checked(_compared(before, [now]), [now])


def again_where_worse(
    before: Record, first: Record, again: Callable[[Sequence[str], int], Record], say: Callable[[str], None]
) -> Checked:
    """What came out worse is measured again while it does so, ``AGAIN`` times at most.

    ``again`` measures the named steps, for the how many-th time. Whatever else such a step measures is a further
    measurement as well, as Face++'s share is that the peer is compared with: to leave out those that nobody asked for
    would be a choice by result.
    """
    found = once(before, first)
    for turn in range(1, AGAIN + 1):
        if not found.worse:
            break
        say(f"{', '.join(found.worse)} came out worse; measured again ({turn} of {AGAIN})")
        steps = sorted({change.step for change in found.changes if change.worse})
        records = [*found.records, again(steps, turn)]
        found = Checked(_compared(before, records), records)
    unseen = tuple(change.name for change in found.changes if change.worse and change.counted < _SEEN)
    changes = [replace(change, worse=None) if change.name in unseen else change for change in found.changes]
    return Checked(changes, found.records, unseen)


def _compared(before: Record, records: Sequence[Record]) -> list[Change]:
    now = [ratio for record in records for ratio in (*ratios(record), *without_figure(record))]
    return compare(ratios(before), now)
