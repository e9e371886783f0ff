"""What a contract room is given to work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visavis_client.engine import Engine
    from visavis_client.operating_points import OperatingPoints
    from visavis_proxy.build_info import BuildInfo
    from visavis_proxy.credentials import Credentials
    from visavis_proxy.face_tokens import FaceTokens
    from visavis_proxy.fetch import Fetcher
    from visavis_proxy.gate import Gate
    from visavis_proxy.settings import Settings
    from visavis_proxy.state import StateStore


@dataclass(frozen=True, slots=True)
class Services:
    """Made once by the app, passed to every room."""

    settings: Settings
    engine: Engine
    credentials: Credentials
    operating_points: OperatingPoints
    state: StateStore
    fetcher: Fetcher
    face_tokens: FaceTokens
    gate: Gate
    build: BuildInfo
    #: Seconds since the epoch; a test passes its own.
    clock: Callable[[], float] = time.time
