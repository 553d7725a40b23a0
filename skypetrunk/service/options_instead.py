"""OPTIONS to carriers (RFC 3261 section 11), also where nobody asked for them and pings prove nothing."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from skypetrunk.core.options_ping import OptionsPing, OptionsPingUser, makeOptions
from skypetrunk.core.trunk_side import TrunkSide
from skypetrunk.interfaces import IMessageChannel, ITransactions
from skypetrunk.profiles import OPTIONS_SECONDS
from skypetrunk.service.settings import TrunkConfiguration
from skypetrunk.wire.grammar import escape
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

#: Makes what asks again and again, for its user, with so many seconds in between.
PingMaker = Callable[[OptionsPingUser, float], OptionsPing]


def pingMaker(
    configuration: TrunkConfiguration,
    side: TrunkSide,
    clock: IReactorTime,
    transactions: ITransactions,
    token: Callable[[], str],
) -> PingMaker:
    """OPTIONS from the account to the domain of a trunk."""
    user = escape(configuration.username)
    own = NameAddr(None, side.addressOfRecord)
    target = SIPURI("sip", None, None, configuration.domain)

    def makeRequest(channel: IMessageChannel) -> Request:
        return makeOptions(own, target, side.contactFor(user, channel), token, side.requestHeaders)

    return lambda pingUser, interval: OptionsPing(pingUser, clock, transactions, makeRequest, interval)


class OptionsInstead:
    """
    Asks a carrier that leaves pings unanswered.  If it answers OPTIONS once, its silence condemns the
    connection; if it does not, it is asked no more over this one: TCP and the next REGISTER must find out.
    """

    _log = Logger()

    def __init__(self, trunk: str, make: PingMaker, dead: Callable[[str], None]) -> None:
        """
        @param dead: told why the connection is worth nothing.
        """
        self._trunk = trunk
        self._ping = make(self, OPTIONS_SECONDS)
        self._dead = dead
        self._begun = False
        self._answers = False

    def begin(self, channel: IMessageChannel) -> None:
        """A ping over C{channel} was left unanswered, maybe again."""
        if not self._begun:
            self._begun = True
            self._ping.start(channel)

    def stop(self) -> None:
        """The connection ended."""
        self._begun = self._answers = False
        self._ping.stop()

    # OptionsPingUser

    def pingAnswered(self, response: Response) -> None:
        """It lives, whatever it says: what it takes is for the registration to say."""
        if not self._answers:
            self._log.info("{trunk}: leaves pings unanswered; is asked by OPTIONS", trunk=self._trunk)
        self._answers = True

    def pingUnanswered(self) -> None:
        """Silence."""
        if self._answers:
            self._dead("OPTIONS is not answered any more")
        else:
            self._log.info("{trunk}: answers neither pings nor OPTIONS", trunk=self._trunk)


__all__ = ["OptionsInstead", "PingMaker", "pingMaker"]
