"""Whether a call may be made: the signature, the clock, the nonce, then the key's permission, rate and daily count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from visavis_proxy.contracts.jdcloud.errors import GatewayError, GatewayStatus, SystemCode, SystemLevelError
from visavis_proxy.contracts.jdcloud.signature import DATE, NONCE, HttpRequest, SignatureInvalid, read_claim, verify
from visavis_proxy.credentials import Contract, Key
from visavis_proxy.key_rate import spend
from visavis_proxy.services import Services

#: The vendor counts days in China's time.
CHINA: Final = timezone(timedelta(hours=8))


class Account:
    """A proven caller, and what is left of its calls today."""

    def __init__(self, services: Services, key: Key, nonce: str) -> None:
        self._services = services
        self._key = key
        self._nonce = nonce
        self._counter = f"jdcloud/{key.id}"
        # One call counts on one day, also when midnight passes while it is made.
        self._day = datetime.fromtimestamp(services.clock(), CHINA).date().isoformat()
        #: Calls left today; 0 until it is known.
        self.remain = 0

    async def admit(self) -> None:
        """Let the call begin; it costs nothing yet.

        Raises:
            GatewayError: the nonce was used before.
            SystemLevelError: the key may not call at all, not this, or not today.
            RateExceeded: not now.
        """
        state = self._services.state
        # Twice the window: a request may be dated ahead of our clock by one, and is good for another.
        ttl_s = 2 * self._services.settings.jdcloud.clock_window_s + 1
        if not await state.claim_nonce(self._counter, self._nonce, ttl_s):
            raise GatewayError(GatewayStatus.UNAUTHENTICATED, f"{NONCE} was used before")
        if self._key.disabled:
            raise SystemLevelError(SystemCode.DISABLED)
        if not self._key.may_call(Contract.JDCLOUD):
            raise SystemLevelError(SystemCode.NO_PERMISSION)
        self.remain = await state.remaining(self._counter, self._key.daily_quota, day=self._day)
        await spend(self._key, state)
        if not self.remain:
            raise SystemLevelError(SystemCode.DAILY_QUOTA_SPENT)

    async def charge(self) -> None:
        """Count the call.

        Raises:
            SystemLevelError: calls made at the same moment used up the day.
        """
        left = await self._services.state.spend(self._counter, self._key.daily_quota, day=self._day)
        self.remain = left or 0
        if left is None:
            raise SystemLevelError(SystemCode.DAILY_QUOTA_SPENT)


def authenticate(request: HttpRequest, services: Services) -> Account:
    """Prove who calls.

    Raises:
        GatewayError: 401, with what is wrong, but never with what was sent.
    """
    settings = services.settings.jdcloud
    try:
        claim = read_claim(request, jdcloud3_signs_nonce=settings.jdcloud3_signs_nonce)
        now = datetime.fromtimestamp(services.clock(), UTC)
        if abs((now - claim.date).total_seconds()) > settings.clock_window_s:
            raise SignatureInvalid(f"{DATE} is more than {settings.clock_window_s:.0f} seconds from the server's clock")
        key = services.credentials.find(claim.key_id)
        if key is None:
            raise SignatureInvalid("the access key is unknown")
        verify(request, claim, key.secret.get_secret_value())
    except SignatureInvalid as fault:
        raise GatewayError(GatewayStatus.UNAUTHENTICATED, str(fault)) from None
    return Account(services, key, claim.nonce)
