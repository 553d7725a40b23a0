"""Offer and answer (RFC 3264) of one call of a PBX in this process: G.711, and keys."""

from __future__ import annotations

from collections.abc import Callable

from skypetrunk.core.session import Session
from skypetrunk.errors import MalformedSDP, RemoteError
from skypetrunk.interfaces import IMediaEndpoint
from skypetrunk.pbx.g711 import OFFER, Choice, choose


class LineSession:
    """
    What the trunk and the call have agreed on, and the endpoint that is told of it.

    @ivar session: the same, as a leg knows it.
    """

    def __init__(self, media: IMediaEndpoint, entropy: Callable[[int], bytes]) -> None:
        self.session = Session(media, None, entropy)
        self._media = media

    @property
    def state(self) -> tuple[str, bool]:
        """What a user may hear of: the codec, and whether the other side wants to hear anything."""
        return self._media.codec, self._media.sending

    def makeOffer(self) -> bytes:
        """All that there is."""
        return self.session.makeOffer(OFFER)

    def check(self, offer: bytes) -> None:
        """@raise RemoteError: C{offer} holds nothing for us."""
        choose(self.session.offerReceived(offer))

    def answerTo(self, offer: bytes, connected: bool) -> bytes:
        """
        Our answer to C{offer}.

        @param connected: the codec in use is kept, if it is offered.
        @raise RemoteError: the offer holds nothing for us; what stood before stands.
        """
        try:
            choice = choose(self.session.offerReceived(offer), self._media.codec if connected else None)
            answer = self.session.makeAnswer(choice.stream)
        except RemoteError:
            self.session.refused()
            raise
        self.session.answerSent()
        self._agreed(choice)
        return answer

    def answerReceived(self, answer: bytes) -> None:
        """@raise RemoteError: there is none, or it is not one to our offer."""
        if not answer:
            raise MalformedSDP("there is no answer")
        self._agreed(choose(self.session.answerReceived(answer)))

    def answered(self) -> None:
        """The final answer is in; later ones are out of place."""
        self.session.answered()

    def _agreed(self, choice: Choice) -> None:
        self._media.agreed(choice.codec, choice.payloadType, choice.eventType)


__all__ = ["LineSession"]
