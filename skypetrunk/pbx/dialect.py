"""
A vendor's dialect of SIP, kept within its bounds: what a PBX says and is told may be written in another
way, but it stays the same message of the same transaction and dialog.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakKeyDictionary

from twisted.logger import Logger
from zope.interface import implementer

from skypetrunk.core.emergency import isEmergencyCall, refersToEmergency
from skypetrunk.errors import MalformedMessage
from skypetrunk.interfaces import INumberPlan, IPBXDialect
from skypetrunk.wire.message import Request, Response, validate

QUIET_SECONDS = 60.0
"""After a failure was logged, how long others of the same PBX are counted only: each message may be one."""

#: INVITEs whose Request-URI was changed, for the CANCEL or ACK that may follow.
_INVITES_KEPT = 1000


def violation(before: Request | Response, after: object) -> str | None:
    """
    What a dialect may not do, and has done, in words; C{None} if it kept within its bounds.

    @param before: a valid message.
    @param after: what a dialect made of it.
    """
    if type(after) is not type(before) or not isinstance(after, (Request, Response)):
        return f"it became a {type(after).__name__}"
    try:
        validate(after)
    except MalformedMessage as problem:
        return f"it became invalid: {problem}"
    if isinstance(before, Request) and isinstance(after, Request):
        if after.method != before.method:
            return "its method was changed"
        if before.method in ("ACK", "CANCEL") and after.uri != before.uri:
            # They have the one of their INVITE (RFC 3261 sections 9.1 and 17.1.1.3), or of the dialog.
            return f"the Request-URI of {before.method} was changed"
    elif isinstance(before, Response) and isinstance(after, Response) and after.status != before.status:
        return "its status was changed"
    for name, value, was in (
        ("Via", after.vias, before.vias),
        ("the tag of From", after.fromAddress.tag, before.fromAddress.tag),
        ("the tag of To", after.toAddress.tag, before.toAddress.tag),
        ("Call-ID", after.callID, before.callID),
        ("CSeq", after.cseq, before.cseq),
        ("RSeq", after.values("RSeq"), before.values("RSeq")),
        ("RAck", after.values("RAck"), before.values("RAck")),
    ):
        if value != was:
            return f"{name} was changed"
    return None


@implementer(IPBXDialect)
class BoundedDialect:
    """
    The dialect of one PBX, as the transports use it: it never raises, and what goes wrong leaves the
    message as it was.

    A message that is sent again is not translated again, so that its octets are the same.

    @ivar failures: messages that were left as they were, because the plugin failed or went too far.
    """

    _log = Logger()

    def __init__(
        self,
        plugin: str,
        pbx: str,
        vendor: IPBXDialect,
        numbers: INumberPlan,
        seconds: Callable[[], float],
    ) -> None:
        """
        @param plugin: its name, for the log.
        @param pbx: the name of the PBX, for the log.
        @param numbers: knows the emergency numbers, which no dialect gets to see.
        """
        self.plugin = plugin
        self.failures = 0
        self._pbx = pbx
        self._vendor = vendor
        self._numbers = numbers
        self._seconds = seconds
        self._loudAt = 0.0
        # By value: equal messages are one. None for what was left as it was: it would keep its key alive.
        self._sent: WeakKeyDictionary[Request | Response, Request | Response | None] = WeakKeyDictionary()
        self._uris: OrderedDict[str, str] = OrderedDict()

    def fromPBX(self, message: Request | Response) -> Request | Response:
        """See L{IPBXDialect.fromPBX}."""
        if self._callsEmergency(message):
            # A mistake in a plugin could hide the number.
            return message
        after = self._asked(self._vendor.fromPBX, message)
        if isinstance(message, Request) and isinstance(after, Request) and after.uri != message.uri:
            return after.receivedAs(message.uri)
        return after

    def toPBX(self, message: Request | Response) -> Request | Response:
        """See L{IPBXDialect.toPBX}."""
        if message in self._sent:
            return self._sent[message] or message
        after = self._written(message)
        self._sent[message] = None if after is message else after
        return after

    def _written(self, message: Request | Response) -> Request | Response:
        if not isinstance(message, Request) or message.method not in ("INVITE", "ACK", "CANCEL"):
            return self._asked(self._vendor.toPBX, message)
        branch = (message.topVia.branch if message.vias else None) or ""
        if message.method != "INVITE":
            if branch in self._uris:
                message = message.withURI(self._uris[branch])
            return self._asked(self._vendor.toPBX, message)
        after = self._asked(self._vendor.toPBX, message)
        assert isinstance(after, Request)
        if after.uri != message.uri:
            self._uris[branch] = after.uri
            if len(self._uris) > _INVITES_KEPT:
                self._uris.popitem(last=False)
        return after

    def _callsEmergency(self, message: Request | Response) -> bool:
        if isinstance(message, Request) and message.method == "INVITE":
            return isEmergencyCall(message, self._numbers)
        try:
            return refersToEmergency(message, self._numbers) if _refers(message) else False
        except MalformedMessage:
            return False

    def _asked(
        self, translate: Callable[[Request | Response], Request | Response], message: Request | Response
    ) -> Request | Response:
        try:
            after = translate(message)
            if after is message:
                return message
            problem = violation(message, after)
        except (Exception, SystemExit):
            if _isValid(message) and self._mayBeSaid():
                self._log.failure(
                    "{pbx}: the plugin {plugin} failed as a dialect ({failures} so far): {sip} stays as it"
                    " was",
                    pbx=self._pbx,
                    plugin=self.plugin,
                    failures=self.failures,
                    sip=message,
                )
            return message
        if problem is None:
            return after
        if _isValid(message) and self._mayBeSaid():
            self._log.error(
                "{pbx}: the plugin {plugin} went too far as a dialect ({failures} so far): {sip} stays as it"
                " was: {problem}",
                pbx=self._pbx,
                plugin=self.plugin,
                failures=self.failures,
                sip=message,
                problem=problem,
            )
        return message

    def _mayBeSaid(self) -> bool:
        """Count a failure; is it time for a line in the log?"""
        self.failures += 1
        now = self._seconds()
        if self.failures > 1 and now < self._loudAt:
            return False
        self._loudAt = now + QUIET_SECONDS
        return True


def _isValid(message: Request | Response) -> bool:
    """The answer to what was no valid request repeats what was wrong with it: no plugin is to blame."""
    try:
        validate(message)
    except MalformedMessage:
        return False
    return True


def _refers(message: Request | Response) -> bool:
    """Does it name another place to call?"""
    if isinstance(message, Request):
        return message.method == "REFER"
    return 300 <= message.status < 400


__all__ = ["QUIET_SECONDS", "BoundedDialect", "violation"]
