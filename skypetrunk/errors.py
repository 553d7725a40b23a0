"""
One tree of errors for the whole package.

Two branches matter: a L{LocalError} is ours (configuration, machine, a caller
of this package), a L{RemoteError} is a peer's.  A remote error carries the SIP
status that answers it, or C{None} where the RFC asks for silence.  Failures are
data: what was wanted and what was seen are attributes, the text is built from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skypetrunk.printable import printable

if TYPE_CHECKING:
    from skypetrunk.wire.message import Request


class SkypetrunkError(Exception):
    """Every error that this package raises on purpose."""


class LocalError(SkypetrunkError):
    """Something on our side is wrong."""


class ConfigurationError(LocalError):
    """
    A configuration that cannot be used.

    @ivar problems: one line each: file, key, what is wrong, what would be right.
    """

    def __init__(self, problems: tuple[str, ...] | str) -> None:
        """@param problems: a text is one."""
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class PortsExhausted(LocalError):
    """No free pair of media ports is left in the configured range."""


class StreamLost(LocalError):
    """An outbound SRTP key was asked for again after its context had ended."""


class ChannelFailed(SkypetrunkError):
    """A message could not be sent, or the connection that carried a transaction ended."""


class NoTarget(SkypetrunkError):
    """A domain has no address left to try; the text names each that was tried and why it failed."""


class RemoteError(SkypetrunkError):
    """
    A peer did something that cannot be accepted.

    @ivar status: the SIP status that answers it, or C{None} for silence.
    @ivar warning: the code of a Warning that says what is wrong with a session description (RFC 3261 section
        20.43); 399 is any other.
    """

    status: int | None = 400
    warning = 399

    def __init__(self, text: str, status: int | None = None, warning: int | None = None) -> None:
        super().__init__(text)
        if status is not None:
            self.status = status
        if warning is not None:
            self.warning = warning


class MalformedMessage(RemoteError):
    """
    Octets that are no SIP message, or a header that breaks its grammar (RFC 3261 section 25).

    @ivar message: the request as far as it could be read, to build an answer from; C{None}
        where nothing is to be answered or nothing could be read.
    """

    message: Request | None = None

    @property
    def silent(self) -> bool:
        """Is this dropped rather than answered: a response, an ACK, or nothing that could be answered?"""
        return self.message is None or self.message.method == "ACK"


class LimitExceeded(MalformedMessage):
    """A message larger than we are ready to keep (RFC 3261 section 21.5.7)."""

    status = 513


class MalformedSDP(RemoteError):
    """A session description that breaks RFC 8866, or an answer that breaks RFC 3264."""

    status = 488


class KeyAgreementFailed(RemoteError):
    """No common SRTP key: no usable crypto line, a clear answer to a secure offer (RFC 4568 section 7)."""

    status = 488


class CallRefused(RemoteError):
    """
    A call that policy refuses.

    @ivar cause: Q.850 cause for the Reason header (RFC 3326), or C{None}.
    @ivar retryAfter: seconds after which it is worth asking again (RFC 3261 section 20.33), or C{None}.
    """

    status = 403

    def __init__(
        self,
        text: str,
        status: int | None = None,
        cause: int | None = None,
        retryAfter: int | None = None,
    ) -> None:
        super().__init__(text, status)
        self.cause = cause
        self.retryAfter = retryAfter


class EmergencyRefused(CallRefused):
    """A call of a PBX in this process to an emergency number, which never leaves by a trunk."""

    status = 503


class PacketRefused(RemoteError):
    """
    A media packet that is not let through.

    @ivar reason: one of C{"malformed"}, C{"authentication"}, C{"replay"}, C{"size"},
        C{"source"}, C{"no-key"}, C{"ssrc"}, C{"sequence"},
        C{"rate"}: the name of the counter it goes under.
    """

    status = None

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PeerNotVerified(RemoteError):
    """
    The TLS peer did not prove to be the trunk's domain.

    @ivar wanted: what would have been accepted.
    @ivar seen: what the peer showed, in printable characters: a stranger's certificate can say anything.
    """

    status = None

    def __init__(self, wanted: str, seen: str) -> None:
        seen = printable(seen)
        super().__init__(f"wanted {wanted}, seen {seen}")
        self.wanted = wanted
        self.seen = seen
