"""One request of ours over the trunk's own connection, with its password, and the status that answers it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from skypetrunk.core.authentication import Authentication
from skypetrunk.core.request_client import RequestClient
from skypetrunk.service.routing import Account
from skypetrunk.service.trunk import randomToken
from skypetrunk.tools.doctor.patient import Patient
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

__all__ = ["ask"]


async def ask(patient: Patient, request: Request, seconds: float) -> int | None:
    """
    The final status of the answer to C{request}, which begins with CSeq 1; C{None}: there was none in time,
    or the connection ended before it.
    """
    trunk, carrier = patient.trunk, patient.carrier
    assert carrier is not None
    numbers = iter(range(2, 100))
    answered: Deferred[int | None] = Deferred()

    def done(status: int, response: Response | None) -> None:
        # A status without a response is our own: the carrier has said nothing.
        answered.callback(None if response is None else status)

    client = RequestClient(
        request,
        carrier.transactions,
        carrier,
        Authentication(Account(trunk.username, trunk.password), randomToken),
        lambda: next(numbers),
        done,
    )
    client.start(SIPURI("sip", None, None, trunk.domain))
    if not await patient.until(lambda: answered.called, seconds):
        return None
    return await answered
