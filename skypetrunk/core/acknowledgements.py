"""
The ACKs of the 2xx answers to an INVITE: its user agent client sends them, not its transaction
(RFC 3261 section 13.2.2.4).
"""

from __future__ import annotations

from typing import NamedTuple

from twisted.logger import Logger

from skypetrunk.core.reaching import reach
from skypetrunk.interfaces import IChannelFinder, IMessageChannel, ITransactions
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI


class _Ack(NamedTuple):
    """@ivar sentTo: where the INVITE went."""

    request: Request
    nextHop: SIPURI
    sentTo: IMessageChannel


class Acknowledgements:
    """Those of one INVITE: one for each branch that took it, told apart by the tag in To."""

    __slots__ = ("_transactions", "_finder", "_known")
    _log = Logger()

    def __init__(self, transactions: ITransactions, finder: IChannelFinder) -> None:
        self._transactions = transactions
        self._finder = finder
        # None: the 2xx is there, its ACK is not, or is looking for its way.
        self._known: dict[str, _Ack | None] = {}

    def received(self, response: Response) -> bool:
        """
        A 2xx came.  One that comes again gets the same ACK again, if there is one already.

        @return: whether it is the first one of its branch.
        """
        tag = response.toAddress.tag or ""
        if tag not in self._known:
            self._known[tag] = None
            return True
        known = self._known[tag]
        if known is not None:
            self._send(tag, known)
        return False

    def send(self, response: Response, ack: Request, nextHop: SIPURI, sentTo: IMessageChannel) -> None:
        """
        Send the ACK of C{response}, and keep it.

        @param ack: without Via.
        @param nextHop: the dialog's, which a maddr or Record-Route may have moved.
        @param sentTo: where the INVITE went; there the ACK goes, too, if C{nextHop} cannot be found.
        """
        self._send(response.toAddress.tag or "", _Ack(ack, nextHop, sentTo))

    def _send(self, tag: str, ack: _Ack) -> None:
        self._known[tag] = None

        def send(channel: IMessageChannel) -> None:
            try:
                # With its Via: each retransmission is the same ACK, over whatever connection there is then.
                self._known[tag] = ack._replace(request=self._transactions.sendAck(ack.request, channel))
            except Exception:
                self._log.failure("ACK cannot be sent")

        reach(self._finder, ack.nextHop, ack.request, send, lambda failure: send(ack.sentTo))


__all__ = ["Acknowledgements"]
