"""What is done with the octets of one message, and who is heard: the same for streams and datagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network

from twisted.logger import Logger

from skypetrunk.errors import ChannelFailed, MalformedMessage
from skypetrunk.interfaces import IMessageChannel, IPBXDialect, ITransactions
from skypetrunk.wire.address import literal
from skypetrunk.wire.message import Request, Response, parseMessage, responseTo

#: Told of each message as it is on the wire: sent or received, the message, the channel.
MessageObserver = Callable[[bool, Request | Response, IMessageChannel], None]

Networks = Sequence[IPv4Network | IPv6Network]


def allowed(host: str, networks: Networks | None) -> bool:
    """Is this literal address in one of the networks?  C{None} allows all."""
    if networks is None:
        return True
    try:
        address = literal(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


class Reception:
    """
    What streams and datagrams do alike with one received message, and with one to be sent.

    @ivar malformed: messages that were none.
    """

    _log = Logger()

    def __init__(
        self,
        transactions: ITransactions,
        token: Callable[[], str],
        observer: MessageObserver | None,
        dialect: IPBXDialect | None = None,
    ) -> None:
        """
        @param token: random text for the To tag of answers to what is malformed.
        @param dialect: translates every message on its way; it may not raise.
        """
        self.transactions = transactions
        self.malformed = 0
        self._token = token
        self._observer = observer
        self._dialect = dialect

    def received(self, data: bytes, channel: IMessageChannel) -> None:
        """Octets of one message.  Never raises."""
        try:
            try:
                message = parseMessage(data, stream=channel.reliable)
            except MalformedMessage as problem:
                self.refused(problem, channel)
                return
            if self._observer is not None:
                self.seen(False, message, channel)
            if self._dialect is not None:
                message = self._dialect.fromPBX(message)
            self.transactions.messageReceived(message, channel)
        except Exception:
            self._log.failure("while receiving from {peer}", peer=channel.peer)

    def refused(self, problem: MalformedMessage, channel: IMessageChannel) -> None:
        """Answer what is no message, where RFC 3261 wants an answer (section 8.2, 16.3, 21.4.1)."""
        self.malformed += 1
        self._log.info("malformed message from {peer}: {problem}", peer=channel.peer, problem=str(problem))
        if problem.message is None or problem.silent or problem.status is None:
            return
        try:
            channel.send(responseTo(problem.message, problem.status, toTag=self._token()))
        except ChannelFailed as failure:
            self._log.debug("no answer to {peer}: {failure}", peer=channel.peer, failure=str(failure))

    def translated(self, message: Request | Response) -> Request | Response:
        """What is sent for C{message}."""
        return message if self._dialect is None else self._dialect.toPBX(message)

    def seen(self, sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
        """Tell the observer, whose failures change nothing."""
        if self._observer is not None:
            with self._log.failuresHandled("while observing a message"):
                self._observer(sent, message, channel)


__all__ = ["MessageObserver", "Networks", "Reception", "allowed"]
