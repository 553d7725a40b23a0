"""
What happens to the carrier's answers between it and the trunk: NAT shows in them, a router rewrites
them, and the carrier's clock is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate

from skypetrunk.lab.kinds import addressOf
from skypetrunk.lab.settings import LabSettings
from skypetrunk.wire.message import Request, Response

__all__ = ["Rewriting"]

_ROUTER = "192.0.2.66"
"""What a router with an ALG writes into Via: an address of the documentation's (RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """
    What is done to responses.

    @ivar clock: seconds that the carrier's clock is ahead; C{None}: it tells no time.
    @ivar seenAt: C{ADDRESS:PORT} where the carrier sees the trunk, as if NAT was in between, or C{None}.
    @ivar alg: a router puts its own address into Via.
    """

    clock: int | None = None
    seenAt: str | None = None
    alg: bool = False

    @classmethod
    def of(cls, settings: LabSettings) -> Rewriting:
        """As the switches say."""
        return cls(settings.clock, settings.seenAt, settings.alg)

    def applied(self, message: Request | Response, now: float) -> Request | Response:
        """
        C{message} as the trunk gets it.

        @param now: seconds since 1970.
        """
        if isinstance(message, Request):
            return message
        if self.clock is not None:
            message = message.withHeader("Date", formatdate(now + self.clock, usegmt=True))
        top, *rest = message.vias
        if self.seenAt is not None:
            # RFC 3581 section 4
            host, port = addressOf(self.seenAt)
            params = top.params.with_("received", host)
            if "rport" in params:
                params = params.with_("rport", str(port))
            top = replace(top, params=params)
        if self.alg:
            top = replace(top, host=_ROUTER)
        if self.seenAt is not None or self.alg:
            message = message.withHeader("Via", ", ".join(map(str, (top, *rest))))
        return message
