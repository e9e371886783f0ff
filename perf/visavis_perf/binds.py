"""Why a target was missed: what the service spends beyond the limit, by its largest parts, in a sentence each.

A core has 1000 milliseconds a second. What of them falls to one picture that was answered, less what the limit
spends on one, is the gap; all of it is somebody's, or nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from visavis_perf.milliseconds import added_ms, idle_pair, named
from visavis_perf.processes import GENERATOR, PROXY, TRITON
from visavis_perf.targets import IDLE, NOT_MEASURED, OVERLOAD, SHARES

UNUSED = "cores that nobody used"
#: A process's part in the record, what it is called here, and the limit's part to compare it with.
_PARTS = (
    ("image_decoder", "decoding and handing on", "decode"),
    ("face_detector", "detecting", "detect"),
    ("face_aligner", "aligning", None),
    ("face_embedder", "embedding", "embed"),
    (TRITON, "Triton itself", None),
    (PROXY, "the proxy", None),
    (GENERATOR, "the load generator", None),
)
#: So many parts are named, and the unused cores.
_NAMED = 4
#: Less than this part of the gap is nothing to name.
_NOTHING = 0.02


@dataclass(frozen=True, slots=True)
class Gap:
    """Core-milliseconds for a picture; an idle service's are those of a clock."""

    ours: float
    limit: float
    #: What is more than the limit's, or less; together the gap.
    parts: Mapping[str, float]

    @property
    def ms(self) -> float:
        """The gap."""
        return self.ours - self.limit

    def largest(self) -> str:
        """The parts that add most, each with its share of the gap, and what remains; the unused cores last."""
        used = {part: spent for part, spent in self.parts.items() if part != UNUSED}
        shown = sorted(used.items(), key=lambda part: -part[1])[:_NAMED]
        shown.append(("the rest", sum(used.values()) - sum(spent for _, spent in shown)))
        told = [self._told(part, spent) for part, spent in shown if abs(spent) >= _NOTHING * self.ms]
        unused = self.parts.get(UNUSED)
        if unused is not None:
            told.append(self._told(UNUSED, unused) if unused >= _NOTHING * self.ms else "and no core was left unused")
        return ", ".join(told)

    def _told(self, part: str, spent: float) -> str:
        return f"{part} {spent:.2g} ms ({100 * spent / self.ms:.0f} %)"


def binds(record: Mapping[str, Any]) -> str:
    """A list, one sentence for each share that was missed or is undecided; empty where there is none."""
    return "\n".join(f"* {line}" for line in (*_shares(record), *_idle(record), *_overload(record)))


def _open(record: Mapping[str, Any]) -> set[str]:
    """What has a figure and is not met."""
    return {
        row["what"] for row in record["targets"] if row["met"] is not True and not row["got"].startswith(NOT_MEASURED)
    }


def _shares(record: Mapping[str, Any]) -> Iterator[str]:
    wanted = _open(record)
    for (table, name), what in SHARES.items():
        load = record.get(table, {}).get(name)
        gap = gap_of(record, load, 2 if table == "http" else 1) if load and what in wanted else None
        if gap and gap.ms > 0:
            gap = _with_faces(gap, load)
            yield (
                f"{what.rsplit(',', 1)[0]}: a picture takes {gap.ours:.3g} core-milliseconds, {gap.ms:.2g} more than "
                f"the limit's {gap.limit:.3g}: {gap.largest()}."
            )


def gap_of(record: Mapping[str, Any], load: Mapping[str, Any], pictures_per_request: int) -> Gap | None:
    """What a best load spends beyond the limit beside it; None where a record does not tell.

    The limit's parts are medians of the whole bench: they are brought to the speed that the machine had meanwhile.
    """
    best, spent, limit = load.get("best"), load.get("core_ms"), record["limits"].get(load["pictures"])
    if not (best and best["share"] and spent and limit):
        return None
    per_s = pictures_per_request * median((run["before"] + run["after"]) / 2 for run in best["runs"])
    bare_ms = 1000 * record["machine"]["cores"] / per_s
    ours_ms = bare_ms / best["share"]
    speed = limit["images_per_s"] / per_s
    bare = {part: speed * ms for part, ms in limit["core_ms"].items()}
    parts = {
        title: spent.get(process, 0.0) - (bare[part] if part else 0.0)
        for process, title, part in _PARTS
        if process in spent
    }
    parts[UNUSED] = ours_ms - bare_ms - sum(parts.values())
    return Gap(ours_ms, bare_ms, parts)


def _with_faces(gap: Gap, load: Mapping[str, Any]) -> Gap:
    """Embedding with how many faces of a picture, where that is more than the limit's one."""
    faces = load.get("stages", {}).get("face_embedder", {}).get("rows", 1.0)
    if faces <= 1:
        return gap
    more = f" ({faces:.3g} faces a picture, the limit one)"
    return replace(gap, parts={f"{part}{more if part == 'embedding' else ''}": ms for part, ms in gap.parts.items()})


def _overload(record: Mapping[str, Any]) -> Iterator[str]:
    """Beside the peak, brought to the same speed of the machine."""
    if OVERLOAD not in _open(record):
        return
    told = record["overload"]
    now = gap_of(record, {"best": told, "core_ms": told.get("core_ms"), "pictures": "250"}, 2)
    peak = gap_of(record, record["http"]["facepp-250"], 2)
    if not now or not peak:
        return
    speed = now.limit / peak.limit
    parts = {part: ms - speed * peak.parts.get(part, 0.0) for part, ms in now.parts.items()}
    gap = Gap(now.ours, speed * peak.ours, parts)
    if gap.ms > 0:
        yield (
            f"overload: an answered picture takes {gap.ours:.3g} core-milliseconds, {gap.ms:.2g} more than the peak's "
            f"{gap.limit:.3g}: {gap.largest()}."
        )


def _idle(record: Mapping[str, Any]) -> Iterator[str]:
    wanted = _open(record)
    for contract, what in IDLE.items():
        if what not in wanted:
            continue
        told = idle_pair(record, contract)
        if not told or "missing" in told[0] or not told[1]:
            yield f"{what.rsplit(',', 1)[0]}: no trace tells."
            continue
        rows, bare = told[0]["milliseconds"], told[1]
        gap = Gap(sum(rows.values()), sum(bare.values()), {named(row): spent for spent, row in added_ms(rows, bare)})
        if gap.ms > 0:
            yield (
                f"{what.rsplit(',', 1)[0]}, traced: {gap.ours:.3g} ms, {gap.ms:.2g} more than the bare work's "
                f"{gap.limit:.3g}: {gap.largest()}."
            )
