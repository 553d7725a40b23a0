"""
The list of bindings in the answer to a REGISTER (RFC 3261 section 10.2.4): registrars name all that they have
of an account, also those of others, and those that we left behind when we were killed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from skypetrunk.errors import MalformedMessage
from skypetrunk.wire.address import foldedHost
from skypetrunk.wire.grammar import unquote
from skypetrunk.wire.headers import NameAddr, parseNameAddr
from skypetrunk.wire.message import Request, Response
from skypetrunk.wire.uri import SIPURI

_INSTANCE = "+sip.instance"

_seconds = re.compile(r"[ \t]*([0-9]{1,9})(?![0-9])").match

# What stands between the commas of a list of addresses; a quotation or < that does not end takes the rest.
_elements = re.compile(r"""(?:[^,"<]|"(?:[^"\\]|\\.)*+"?+|<[^>]*+>?+)++""").findall


def readNumber(text: str | None) -> int | None:
    """The number that C{text} begins with: Expires, Min-Expires (a comment may follow)."""
    match = _seconds(text or "")
    return None if match is None else int(match[1])


@dataclass(frozen=True, slots=True)
class OwnBinding:
    """
    How we know which bindings are ours.

    @ivar contact: as it is registered now.
    @ivar instance: our C{urn:uuid:...} (RFC 5626 section 4.1), empty if we tell none.
    @ivar host: of this machine, if it stands in C{contact} and so belongs to nobody else; C{None} behind NAT,
        where others may have the same.
    @ivar flow: its number (RFC 5626 section 4.2), C{None} where it is no flow.
    """

    contact: SIPURI
    instance: str
    host: str | None
    flow: int | None = None

    def granted(self, response: Response, asked: int) -> int:
        """
        Seconds: of our Contact in the list, else of Expires, else of any of our account, else what was asked
        (section 10.2.4).
        """
        # Those of our other flows may have the same Contact, and run out at another time.
        listed = [each for each in bindingsIn(response) if not self._isSister(each)]
        known = [each for each in listed if self.contact.equivalent(each.uri)]
        if not known and self.instance:
            known = [each for each in listed if instanceOf(each) == self.instance]
        if not known and len(listed) == 1:
            # A registrar behind NAT may list where it sees us.
            known = list(listed)
        accounts = [each for each in listed if self._isAccount(each)]
        for seconds in (_shortest(known), readNumber(response.header("Expires")), _shortest(accounts)):
            if seconds is not None:
                return seconds
        return asked

    def isIn(self, response: Response) -> bool:
        """Is it in the list?"""
        return any(self.contact.equivalent(each.uri) for each in bindingsIn(response))

    def stale(self, response: Response, used: Collection[SIPURI]) -> tuple[SIPURI, ...]:
        """
        What else in the list is ours, and leads to connections that are no more.  A binding that may be
        somebody else's is left alone.

        @param used: Contacts that we registered before.
        """
        listed = bindingsIn(response)
        current = [each for each in listed if self.contact.equivalent(each.uri)]
        if not current:
            # Written another way by the registrar: any of them may be the one that we need.
            return ()
        marked = any(instanceOf(each) == self.instance for each in current) if self.instance else False
        return tuple(
            each.uri
            for each in listed
            if isinstance(each.uri, SIPURI)
            and not self.contact.equivalent(each.uri)
            and self._isLeft(each, each.uri, marked, used)
        )

    def _isLeft(self, each: NameAddr, uri: SIPURI, marked: bool, used: Collection[SIPURI]) -> bool:
        instance = instanceOf(each)
        if instance and self.instance:
            return instance == self.instance and not self._isOtherFlow(each)
        if any(before.equivalent(uri) for before in used):
            return True
        # Where the registrar keeps instances, a binding without one is no other of ours.
        return (
            not marked
            and not instance
            and self.host is not None
            and self._isAccount(each)
            and foldedHost(uri.host) == foldedHost(self.host)
        )

    def _isOtherFlow(self, each: NameAddr) -> bool:
        """A registrar that keeps flows replaces those that were left behind: this one stands."""
        flow = each.params.get("reg-id")
        return self.flow is not None and flow is not None and flow != str(self.flow)

    def _isSister(self, each: NameAddr) -> bool:
        """Another flow of this instance."""
        return bool(self.instance) and instanceOf(each) == self.instance and self._isOtherFlow(each)

    def _isAccount(self, each: NameAddr) -> bool:
        return isinstance(each.uri, SIPURI) and each.uri.userUnescaped == self.contact.userUnescaped


def bindingsIn(message: Request | Response) -> Sequence[NameAddr]:
    """The list, without what of it cannot be read: that may be of somebody else, who is no matter of ours."""
    try:
        return message.contacts
    except MalformedMessage:
        return [each for each in _each(message) if isinstance(each, NameAddr)]


def unreadableIn(message: Request | Response) -> Sequence[str]:
    """What of the list cannot be read, as it stands there."""
    try:
        message.contacts  # noqa: B018 (asked whether it can be read)
    except MalformedMessage:
        return [each for each in _each(message) if isinstance(each, str)]
    return ()


def _each(message: Request | Response) -> Iterator[NameAddr | str]:
    for value in message.values("Contact"):
        for text in _elements(value):
            try:
                yield parseNameAddr(text.strip())
            except MalformedMessage:
                yield text.strip()


def instanceOf(each: NameAddr) -> str:
    """Whose a binding is: C{urn:uuid:...} in lower case; empty where it does not say."""
    value = each.params.get(_INSTANCE)
    if not value:
        return ""
    text = unquote(value) if value.startswith('"') else value
    # RFC 5626 section 4.1: compared as URIs; of urn:uuid, that is without case (RFC 4122 section 3).
    return text.strip("<>").lower()


def _shortest(bindings: Sequence[NameAddr]) -> int | None:
    found = [readNumber(each.params.get("expires")) for each in bindings]
    return min((seconds for seconds in found if seconds is not None), default=None)


__all__ = ["OwnBinding", "bindingsIn", "instanceOf", "readNumber", "unreadableIn"]
