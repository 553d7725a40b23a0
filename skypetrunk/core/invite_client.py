"""
One INVITE sent, initial or re-INVITE: finding the channel, answering challenges, and CANCEL
(RFC 3261 sections 9.1, 13.2, 14.1 and 22).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from skypetrunk.core.acknowledgements import Acknowledgements
from skypetrunk.core.authentication import Authentication
from skypetrunk.core.machines import indexed
from skypetrunk.core.reaching import reach
from skypetrunk.errors import RemoteError, SkypetrunkError
from skypetrunk.interfaces import (
    IChannelFinder,
    IClientTransaction,
    IClientTransactionUser,
    IMessageChannel,
    ITransactions,
)
from skypetrunk.wire.message import Header, Request, Response
from skypetrunk.wire.uri import SIPURI


class InviteClientUser(Protocol):
    """Who sent the INVITE.  After C{inviteFailed} or C{inviteAccepted} only C{inviteUnwanted} may follow."""

    def inviteProgressed(self, client: InviteClient, response: Response) -> None:
        """A provisional response other than 100."""

    def inviteAccepted(self, client: InviteClient, response: Response) -> None:
        """The first 2xx; the user is to call L{InviteClient.acknowledge}, at once or later."""

    def inviteUnwanted(self, client: InviteClient, response: Response) -> None:
        """A 2xx of a second fork, or one that crossed our CANCEL: to be acknowledged, then ended."""

    def inviteFailed(self, client: InviteClient, status: int, response: Response | None, reason: str) -> None:
        """
        A final response other than 2xx, or none at all.

        @param status: the response's, else 408 (silence) or 503 (nothing could be reached).
        """

    def inviteSilent(self, client: InviteClient) -> None:
        """
        No answer at all for as long as the user would wait; told once for each time that the INVITE is sent.
        It still lives: nothing need be done.
        """

    def inviteTooBrief(self, client: InviteClient, response: Response) -> Request | None:
        """A 422 (RFC 4028 section 7.3): the INVITE to send instead, or C{None} to let it fail."""


Waiting = Callable[[Callable[[], None]], IDelayedCall]
"""Calls its argument after the time that a user would wait."""


class _Inputs(Protocol):
    def find(self) -> None: ...
    def found(self, channel: IMessageChannel) -> None: ...
    def progressed(self, response: Response) -> None: ...
    def challenged(self, retry: Request) -> None: ...
    def accepted(self, response: Response) -> None: ...
    def failed(self, status: int, response: Response | None, reason: str) -> None: ...
    def cancel(self) -> None: ...
    def silent(self) -> None: ...


class _Core:
    log = Logger()

    def __init__(
        self,
        makeRequest: Callable[[IMessageChannel], Request],
        nextHop: SIPURI,
        user: InviteClientUser,
        transactions: ITransactions,
        finder: IChannelFinder,
        client: InviteClient,
        authentication: Authentication,
        waiting: Waiting | None,
    ) -> None:
        self.makeRequest = makeRequest
        self.request: Request | None = None
        self.late = False
        self.last = False
        self.nextHop = nextHop
        self.user = user
        self.transactions = transactions
        self.finder = finder
        # It has us: each would keep the other until the garbage collector comes.
        self._client = weakref.ref(client)
        self.authentication = authentication
        self.channel: IMessageChannel | None = None
        self.transaction: IClientTransaction | None = None
        self.anyProvisional = False
        self.broke = False
        self.waiting = waiting
        self.wait: IDelayedCall | None = None
        self.reasons: Sequence[Header] = ()

    def heard(self) -> None:
        """An answer came, or none is waited for any more."""
        wait, self.wait = self.wait, None
        if wait is not None and wait.active():
            wait.cancel()

    @property
    def client(self) -> InviteClient:
        """Whose core this is; its transaction, or the leg that waits for a way, keeps it."""
        client = self._client()
        assert client is not None
        return client

    def send(self, request: Request, channel: IMessageChannel, inputs: _Inputs) -> None:
        self.heard()
        # What answered before, with a challenge, may be silent now.
        self.anyProvisional = False
        self.broke = False
        if self.waiting is not None:
            self.wait = self.waiting(inputs.silent)
        self.request = request
        self.late = not request.body
        self.channel = channel
        self.transaction = self.transactions.sendRequest(request, channel, self.client)


def _build() -> Callable[[_Core], _Inputs]:
    builder = TypeMachineBuilder(_Inputs, _Core)
    idle = builder.state("idle")
    finding = builder.state("finding")
    calling = builder.state("calling")
    cancelling = builder.state("cancelling")
    accepted = builder.state("accepted")
    ended = builder.state("ended")

    idle.upon(_Inputs.cancel).to(ended).returns(None)

    @idle.upon(_Inputs.find).to(finding)
    def lookUp(inputs: _Inputs, core: _Core) -> None:
        def lost(failure: Failure) -> None:
            # Whatever went wrong on the way to the next hop, the call cannot leave by it.
            if not isinstance(failure.value, SkypetrunkError):
                core.log.failure("the way of an INVITE cannot be found", failure)
            inputs.failed(503, None, str(failure.value) or type(failure.value).__name__)

        reach(core.finder, core.nextHop, core.makeRequest, inputs.found, lost)

    @finding.upon(_Inputs.found).to(calling)
    def send(inputs: _Inputs, core: _Core, channel: IMessageChannel) -> None:
        try:
            core.send(core.makeRequest(channel), channel, inputs)
        except Exception as error:
            core.log.failure("INVITE cannot be made")
            inputs.failed(503, None, type(error).__name__)

    @calling.upon(_Inputs.progressed).loop()
    def tellProgress(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.heard()
        core.anyProvisional = True
        if response.status > 100:
            core.user.inviteProgressed(core.client, response)

    @calling.upon(_Inputs.challenged).loop()
    def sendAgain(inputs: _Inputs, core: _Core, retry: Request) -> None:
        assert core.channel is not None
        core.send(retry, core.channel, inputs)

    @calling.upon(_Inputs.silent).loop()
    def tellSilent(inputs: _Inputs, core: _Core) -> None:
        core.user.inviteSilent(core.client)

    @calling.upon(_Inputs.accepted).to(accepted)
    def tellAccepted(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.heard()
        core.user.inviteAccepted(core.client, response)
        if core.transaction is not None:
            # The same, and already without what is not needed any more.
            core.request = core.transaction.request

    @calling.upon(_Inputs.cancel).to(cancelling)
    def sendCancel(inputs: _Inputs, core: _Core) -> None:
        assert core.transaction is not None and core.request is not None
        core.heard()
        reasons = ((each.name, each.value) for each in core.reasons)
        core.transaction.cancel((*_credentials(core.request), *reasons))

    @cancelling.upon(_Inputs.accepted).to(ended)
    def tellCrossed(inputs: _Inputs, core: _Core, response: Response) -> None:
        core.user.inviteUnwanted(core.client, response)

    @cancelling.upon(_Inputs.challenged).to(ended)
    def stopRetry(inputs: _Inputs, core: _Core, retry: Request) -> None:
        # The PBX hung up between the challenge and the second INVITE: it is never sent.
        core.user.inviteFailed(core.client, 487, None, "cancelled")

    @finding.upon(_Inputs.cancel).to(ended)
    def stopBeforeSending(inputs: _Inputs, core: _Core) -> None:
        core.user.inviteFailed(core.client, 487, None, "cancelled")

    for state in (finding, calling, cancelling):

        @state.upon(_Inputs.failed).to(ended)
        def tellFailed(
            inputs: _Inputs, core: _Core, status: int, response: Response | None, reason: str
        ) -> None:
            core.heard()
            core.user.inviteFailed(core.client, status, response, reason)

    for state in (accepted, ended):

        @state.upon(_Inputs.accepted).loop()
        def tellUnwanted(inputs: _Inputs, core: _Core, response: Response) -> None:
            core.user.inviteUnwanted(core.client, response)

    # What comes too early or too late.
    for state in (idle, finding, cancelling, accepted, ended):
        state.upon(_Inputs.progressed).loop().returns(None)
        state.upon(_Inputs.silent).loop().returns(None)
    for state in (calling, cancelling, accepted, ended):
        state.upon(_Inputs.find).loop().returns(None)
        state.upon(_Inputs.found).loop().returns(None)
    for state in (idle, finding, accepted, ended):
        state.upon(_Inputs.challenged).loop().returns(None)
    for state in (idle, accepted, ended):
        state.upon(_Inputs.failed).loop().returns(None)
    for state in (cancelling, accepted, ended):
        state.upon(_Inputs.cancel).loop().returns(None)
    for state in (idle, finding):
        state.upon(_Inputs.accepted).loop().returns(None)
    idle.upon(_Inputs.found).loop().returns(None)
    finding.upon(_Inputs.find).loop().returns(None)

    return builder.build()


_machine = indexed(_build())


def _credentials(invite: Request) -> list[Header]:
    """What ACK and CANCEL repeat of their INVITE, as they are never challenged (RFC 3261 section 22.1)."""
    return [h for h in invite.headers if h.name in ("Authorization", "Proxy-Authorization")]


@implementer(IClientTransactionUser)
class InviteClient:
    """The user agent client of one INVITE."""

    __slots__ = ("__weakref__", "_core", "_inputs", "_nextSequence", "_acknowledgements")

    def __init__(
        self,
        makeRequest: Callable[[IMessageChannel], Request],
        nextHop: SIPURI,
        user: InviteClientUser,
        transactions: ITransactions,
        finder: IChannelFinder,
        authentication: Authentication,
        nextSequence: Callable[[], int],
        waiting: Waiting | None = None,
    ) -> None:
        """
        @param makeRequest: makes the INVITE, without Via, for the channel that was found.
        @param nextHop: where it goes first.
        @param nextSequence: reserves a CSeq number of the dialog, for the retry after a challenge.
        @param waiting: for a user that may want to send another INVITE elsewhere.
        """
        self._core = _Core(makeRequest, nextHop, user, transactions, finder, self, authentication, waiting)
        self._inputs = _machine(self._core)
        self._nextSequence = nextSequence
        self._acknowledgements = Acknowledgements(transactions, finder)

    @property
    def request(self) -> Request:
        """The INVITE as last sent, with its credentials, without Via."""
        assert self._core.request is not None
        return self._core.request

    @property
    def late(self) -> bool:
        """It leaves the offer to the peer, also when its body is not remembered any more."""
        return self._core.late

    @property
    def anyProvisional(self) -> bool:
        """Some server took the INVITE on, as last sent: then no other one may be tried on silence."""
        return self._core.anyProvisional

    @property
    def broke(self) -> bool:
        """The connection ended under the INVITE before anything was heard."""
        return self._core.broke and not self._core.anyProvisional

    def start(self) -> None:
        """Send the INVITE as soon as a channel is found."""
        self._inputs.find()

    def cancel(self, reasons: Sequence[Header] = ()) -> None:
        """
        Take the INVITE back; nothing after a final response.

        @param reasons: Reason headers of the CANCEL (RFC 3326).
        """
        self._core.reasons = reasons
        self._inputs.cancel()

    def stop(self) -> None:
        """Its dialog ends: no other INVITE follows a challenge, or a refusal of what this one asks for."""
        self._core.last = True

    def acknowledge(self, response: Response, ack: Request, nextHop: SIPURI) -> None:
        """
        Send the ACK of a 2xx; see L{Acknowledgements.send}.  It repeats the INVITE's credentials
        (RFC 3261 section 22.1).
        """
        for header in _credentials(self.request):
            ack = ack.addingHeader(*header)
        assert self._core.channel is not None
        self._acknowledgements.send(response, ack, nextHop, self._core.channel)

    # IClientTransactionUser

    def responseReceived(self, response: Response, transaction: IClientTransaction) -> None:
        """Sort a response into progress, challenge, acceptance, retransmission or refusal."""
        if response.status < 200:
            self._inputs.progressed(response)
        elif response.status < 300:
            if self._acknowledgements.received(response):
                self._core.authentication.accepted(self.request, response)
                self._inputs.accepted(response)
        else:
            retry = self._retry(response)
            if retry is not None:
                self._inputs.challenged(retry)
            else:
                self._inputs.failed(response.status, response, response.reason)

    def _retry(self, response: Response) -> Request | None:
        """The INVITE to send again with what a refusal wants, C{None} if it stands."""
        if self._core.last:
            return None
        if response.status == 422:
            return self._core.user.inviteTooBrief(self, response)
        if response.status not in (401, 407):
            return None
        try:
            return self._core.authentication.answer(self.request, response, self._nextSequence)
        except RemoteError:
            # A challenge that cannot be read is one that cannot be answered.
            return None

    def timedOut(self, transaction: IClientTransaction) -> None:
        """Silence until timer B, or until 64*T1 after CANCEL."""
        self._inputs.failed(408, None, "no answer")

    def channelFailed(self, transaction: IClientTransaction, reason: Exception) -> None:
        """The connection broke before a final response."""
        self._core.broke = True
        self._inputs.failed(503, None, str(reason))
