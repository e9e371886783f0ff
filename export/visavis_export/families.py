"""What a pack may call a family: how its graph is built, and what the graph is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visavis_export.arcface import build_arcface
from visavis_export.embedder import build_embedder
from visavis_export.errors import PackInvalid, VerificationFailed
from visavis_export.folding import read_network
from visavis_export.own_verification import check_arcface, check_scrfd
from visavis_export.pack import DetectorRecipe, EmbedderRecipe
from visavis_export.runners import REFUSALS
from visavis_export.scrfd import build_scrfd
from visavis_export.verification import Check, check_detector, check_embedder, check_folding
from visavis_export.yunet import build_yunet


@dataclass(frozen=True, slots=True)
class Built:
    """A graph, and the measurement that decides whether it may be used."""

    graph: bytes
    verify: Callable[[], list[Check]]
    #: Who runs the original.
    against: str


def build_detector_of(data: bytes, recipe: DetectorRecipe) -> Built:
    """The detector's graph.

    Raises:
        PackInvalid: there is no such family of detectors.
        NetworkUnexpected: the network is not of this family.
    """
    if recipe.family == "yunet":
        network = read_network(data)
        graph = build_yunet(network, recipe)
        return Built(graph, lambda: check_folding(data, network) + check_detector(graph, network, recipe), "OpenCV")
    if recipe.family == "scrfd":
        graph = build_scrfd(data, recipe)
        return Built(graph, _asked(lambda: check_scrfd(graph, data, recipe)), "the original")
    raise PackInvalid(f"There is no family of detectors called {recipe.family!r}; known are: scrfd, yunet.")


def build_embedder_of(data: bytes, recipe: EmbedderRecipe) -> Built:
    """The embedder's graph.

    Raises:
        PackInvalid: there is no such family of embedders.
        NetworkUnexpected: the network is not of this family.
    """
    if recipe.family == "sface":
        network = read_network(data)
        graph = build_embedder(network, recipe)
        return Built(graph, lambda: check_folding(data, network) + check_embedder(graph, network), "OpenCV")
    if recipe.family == "arcface":
        graph = build_arcface(data, recipe)
        return Built(graph, _asked(lambda: check_arcface(graph, data, recipe)), "the original")
    raise PackInvalid(f"There is no family of embedders called {recipe.family!r}; known are: arcface, sface.")


def _asked(verify: Callable[[], list[Check]]) -> Callable[[], list[Check]]:
    """The same, for networks that nobody has seen before: a runtime's refusal is a failed verification."""

    def run() -> list[Check]:
        try:
            return verify()
        except REFUSALS as error:
            said = str(error).splitlines()[0]
            raise VerificationFailed(
                f"onnxruntime does not run this network in batches as it should: {said}"
            ) from error

    return run
