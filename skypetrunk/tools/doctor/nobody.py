"""Who takes requests of a carrier while it is looked at, and is not the trunk: nobody."""

from __future__ import annotations

from zope.interface import implementer

from skypetrunk.interfaces import IMessageChannel, IServerTransaction, ITransactionUser
from skypetrunk.wire.message import Request, responseTo


@implementer(ITransactionUser)
class Nobody:
    """Answers every request with 480: we are here for a moment only."""

    def requestReceived(self, transaction: IServerTransaction) -> None:
        """See L{ITransactionUser}."""
        transaction.respond(responseTo(transaction.request, 480))

    def ackReceived(self, request: Request, channel: IMessageChannel) -> None:
        """See L{ITransactionUser}."""

    def cancelReceived(self, transaction: IServerTransaction) -> None:
        """See L{ITransactionUser}."""

    def transactionFailed(self, transaction: IServerTransaction, reason: Exception) -> None:
        """See L{ITransactionUser}."""
