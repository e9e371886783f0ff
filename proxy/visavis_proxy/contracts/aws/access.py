"""Who may call: the stack parameter APIGatewayAuthorization, and a key's rate."""

from __future__ import annotations

from starlette.requests import Request

from visavis_proxy.contracts.aws.errors import UNKNOWN_KEY, Refused
from visavis_proxy.contracts.aws.settings import Authorization
from visavis_proxy.contracts.aws.signature import SentRequest, check_claims, check_signature, read_authorization
from visavis_proxy.contracts.aws.this_machine import is_from_this_machine
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.key_rate import spend
from visavis_proxy.services import Services
from visavis_proxy.settings import Settings


def authorization_mode(settings: Settings, request: Request) -> Authorization:
    """As set; unset, open to this machine alone: NONE for its own requests on loopback, AWS_IAM for every other."""
    if settings.aws.authorization is not None:
        return settings.aws.authorization
    return "NONE" if settings.on_loopback and is_from_this_machine(request) else "AWS_IAM"


async def admit(request: Request, body: bytes, services: Services) -> None:
    """Let a request in. One that is signed is checked under NONE too: a client that signs wants to know.

    Raises:
        Refused: no signature where one is needed, or a wrong one.
        RateExceeded: too many requests of that key.
        StateUnavailable: nobody can say how many.
    """
    sent = as_sent(request, body)
    if authorization_mode(services.settings, request) == "NONE" and not sent.is_signed:
        return
    key = _signer(sent, services)
    await spend(key, services.state)


def _signer(sent: SentRequest, services: Services) -> Key:
    authorization = read_authorization(sent)
    check_claims(authorization, sent, services.clock(), services.settings.aws.clock_skew_s)
    key = services.credentials.find(authorization.key_id)
    if key is None or key.disabled or not key.may_call(Contract.AWS):
        raise Refused(UNKNOWN_KEY)
    check_signature(authorization, sent, key.secret.get_secret_value())
    return key


def as_sent(request: Request, body: bytes) -> SentRequest:
    """The request as it came over the wire, before any decoding of its address."""
    target = request.scope.get("raw_path") or request.url.path.encode()
    if request.scope["query_string"]:
        target += b"?" + request.scope["query_string"]
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
    return SentRequest(request.method, target.decode("latin-1"), headers, body)
