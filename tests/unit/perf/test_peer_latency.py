"""The slowest answers of both services are compared where there are answers enough to know them."""

from __future__ import annotations

from typing import Any

from visavis_perf.peer_latency import peer_latency, turns_agree


def _record(ours: int, theirs: int) -> dict[str, Any]:
    """The service's slowest twentieth takes 100 ms, the peer's 400."""
    return {
        step: {"ours_s": [0.02] * (ours - ours // 20) + [0.1] * (ours // 20),
               "theirs_s": [0.1] * (theirs - theirs // 20) + [0.4] * (theirs // 20)}
        for step in ("beside_peer", "twice_the_peer")
    }  # fmt: skip


def test_the_peers_answers_of_both_steps_count() -> None:
    """It is offered the same in both: 160 and 160 tell a 99th percentile."""
    found = peer_latency(_record(320, 160), "beside_peer")
    assert found is not None
    assert (found.percent, found.ours, found.theirs) == (99, 320, 320)
    assert found.text == "0.25: 100 of 400 ms, p99 of 320 and 320 answers"


def test_with_fewer_the_95th_is_told() -> None:
    """As such: whoever judges by the 99th gets no verdict."""
    found = peer_latency(_record(120, 160), "beside_peer")
    assert found is not None
    assert found.percent == 95
    assert peer_latency(_record(120, 160), "beside_peer", percent=99) is None
    assert peer_latency(_record(40, 160), "beside_peer") is None
    assert peer_latency({}, "beside_peer") is None


def test_turns_on_both_sides_of_what_is_wanted_disagree() -> None:
    """p99 of all of them is that of three answers, perhaps of one turn in which the machine stood still."""
    assert turns_agree({"p95_ratios": [0.3, 0.1, 0.4]}, 0.5)
    assert turns_agree({"p95_ratios": [0.9, 0.6]}, 0.5)
    assert turns_agree({}, 0.5)
    assert not turns_agree({"p95_ratios": [0.3, 0.1, 0.6]}, 0.5)
