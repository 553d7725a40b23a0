"""SIP messages in the log, for finding faults: complete but for what is secret."""

from __future__ import annotations

import re

from twisted.logger import Logger

from skypetrunk.interfaces import IMessageChannel
from skypetrunk.wire.message import Request, Response

# Suite and tag of a good line stay; of any other line about keys nobody knows where the key stands.
_KEYS = re.compile(
    r"(?im)^(a=crypto:(?:\d+ \w{1,40} inline:)?|a=key-mgmt:(?:\w{1,10} )?|k=(?:\w{1,10}:)?)[^\r\n]*"
    r"|(inline:)[^\r\n]*"
)
_PROOFS = re.compile(r'(?i)\b(response|rspauth|cnonce)\s*=\s*("[^"]*"|[^\s,]+)')

_log = Logger(namespace="skypetrunk.trace")


def redacted(message: Request | Response) -> str:
    """The text of a message without SRTP keys and without what a password could be tried against."""
    text = message.encode().decode("utf-8", "backslashreplace")
    head, blank, body = text.partition("\r\n\r\n")
    head = _PROOFS.sub(r"\1=<hidden>", head)
    return head + blank + _KEYS.sub(r"\1\2<hidden>", body)


def traceMessage(sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
    """A message observer that writes to the log at debug level."""
    _log.debug(
        "{arrow} {peer}\n{text}",
        arrow="sent to" if sent else "received from",
        peer=str(channel.peer),
        text=redacted(message),
    )
