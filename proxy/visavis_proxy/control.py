"""What the process that runs the app may tell it while it serves."""

from __future__ import annotations

from dataclasses import dataclass

from visavis_proxy.credentials import Credentials


@dataclass(slots=True)
class Control:
    """One for each app, which shows it as ``app.state.control``."""

    credentials: Credentials
    #: It will soon accept nothing any more: ready for those who ask now, and not for those who choose whom to ask.
    is_leaving: bool = False
