"""What a service tells at its start of who may call it, and how."""

from __future__ import annotations

from visavis_proxy.settings import Settings


def exposure(settings: Settings) -> str:
    """What others can do with a service that does not listen on loopback alone."""
    unsigned = "AWS calls, " if settings.aws.authorization == "NONE" else ""
    return (
        f"listening on {settings.host}, for others too: {unsigned}/health and /metrics need no key, and pictures, "
        "answers and Face++'s secrets go in plain text: put TLS in front (docs/operations.md)"
    )


def unsigned_calls(settings: Settings) -> str | None:
    """Who may call AWS's contract without a key where nobody has said it; None where somebody has, or nobody may."""
    if not settings.on_loopback or settings.aws.authorization is not None:
        return None
    return (
        "AWS's calls need no key from this machine, which are recognised by their headers; "
        "behind a TLS terminator set VISAVIS_AWS__AUTHORIZATION=AWS_IAM"
    )
