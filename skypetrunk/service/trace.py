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

# Keys pressed: PINs and card numbers are typed that way (application/dtmf-relay; RFC 4730).
_PRESSED = re.compile(r"(?im)^(?![ \t]*Duration[ \t]*=[ \t]*\d*[ \t]*\r?$)([ \t]*Signal[ \t]*=)?[^\r\n]+")
_DIGITS = re.compile(r"""(?i)(\bdigits\s*=\s*)("[^"]*"?|'[^']*'?|[^\s>]+)""")
_RELAY = "application/dtmf-relay"

_log = Logger(namespace="skypetrunk.trace")


def redacted(message: Request | Response) -> str:
    """The text of a message without SRTP keys, keys pressed, and what a password could be tried against."""
    text = message.encode().decode("utf-8", "backslashreplace")
    head, blank, body = text.partition("\r\n\r\n")
    head = _PROOFS.sub(r"\1=<hidden>", head)
    if body and isinstance(message, Request) and message.method == "INFO":
        # Of other kinds nobody knows where the key stands.
        known = (message.contentType or "").lower() == _RELAY
        body = _PRESSED.sub(r"\1<hidden>", body) if known else "<hidden>"
    elif isinstance(message, Request) and message.method == "NOTIFY":
        body = _DIGITS.sub(r"\1<hidden>", body)
    return head + blank + _KEYS.sub(r"\1\2<hidden>", body)


def traceMessage(sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
    """A message observer that writes to the log at debug level."""
    _log.debug(
        "{arrow} {peer}\n{text}",
        arrow="sent to" if sent else "received from",
        peer=str(channel.peer),
        text=redacted(message),
    )
