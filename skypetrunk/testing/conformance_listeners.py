"""Conformance tests for those who listen to calls, or are told of them."""

from __future__ import annotations

from struct import pack

from zope.interface.verify import verifyObject

from skypetrunk.interfaces import CallRequest, IDialogObserver, IMediaTap, IMediaTaps, TappedPacket
from skypetrunk.testing.asking import Asking
from skypetrunk.testing.conformance import records, requests


def packets() -> list[TappedPacket]:
    """
    One call's, in the order in which they come: speech in both directions, one late, one doubled, a key,
    other codecs and sizes, a header with all that it may have, and another source at the end.
    """
    header = "!BBHII"
    numbers = (65534, 0, 65535, 1, 1)
    late = [pack(header, 0x80, 8, number, 160 * number, 7) + b"\xd5" * 160 for number in numbers]
    odd = [
        pack(header, 0x80, 0x80 | 101, 2, 320, 7) + b"\x05\x0a\x00\xa0",
        pack(header, 0x80, 0, 3, 480, 7) + b"\xff" * 240,
        pack(header, 0x80, 111, 4, 960, 7) + b"\xfc" * 1400,
        pack(header, 0x80, 13, 5, 1120, 7) + b"\x40",
        pack(header, 0x80, 8, 6, 1280, 7),
        # Padding, an extension and two contributing sources.
        pack(header, 0xB2, 8, 7, 1440, 7) + pack("!IIHHI", 1, 2, 0xBEDE, 1, 0) + b"\xd5" * 160 + b"\0\0\0\4",
        pack(header, 0x80, 8, 40000, 0, 0xFFFFFFFF) + b"\xd5" * 160,
    ]
    found = []
    for place, data in enumerate(late + odd):
        for fromCaller in (True, False):
            found.append(TappedPacket(data, fromCaller, 1000.0 + place * 0.02))
    return found


class TapsConformance:
    """For L{IMediaTaps}."""

    def makeTaps(self) -> IMediaTaps:
        """What is tested, ready."""
        raise NotImplementedError("makeTaps makes the taps that are tested")

    def _tap(self, asking: Asking, taps: IMediaTaps, request: CallRequest) -> IMediaTap | None:
        tap = asking.ask(taps, "tap", request)
        assert tap is None or IMediaTap.providedBy(tap), f"tap({request}) returned {tap!r}, no IMediaTap"
        assert tap is None or verifyObject(IMediaTap, tap)
        listening: IMediaTap | None = tap
        return listening

    def test_tapsProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IMediaTaps, self.makeTaps())

    def test_tapsListen(self) -> None:
        """Whoever calls, whatever is said, and if nothing ever is."""
        taps = self.makeTaps()
        with Asking() as asking:
            for request in requests():
                tap = self._tap(asking, taps, request)
                if tap is not None:
                    for packet in packets()[: 5 * int(request.call[1:])]:
                        asking.tell(tap, "packetReceived", packet)
                    asking.tell(tap, "ended")

    def test_tapsTogether(self) -> None:
        """Calls at the same time know nothing of each other."""
        taps = self.makeTaps()
        with Asking() as asking:
            found = [self._tap(asking, taps, request) for request in requests()]
            listening = [tap for tap in found if tap is not None]
            for packet in packets():
                for tap in listening:
                    asking.tell(tap, "packetReceived", packet)
            for tap in listening:
                asking.tell(tap, "ended")


class ObserverConformance:
    """For L{IDialogObserver}."""

    def makeObserver(self) -> IDialogObserver:
        """The observer to test, ready."""
        raise NotImplementedError("makeObserver makes the observer that is tested")

    def test_observerProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IDialogObserver, self.makeObserver())

    def test_observerTold(self) -> None:
        """Calls of all kinds, all at once: their beginnings, their answers, and their ends."""
        observer = self.makeObserver()
        with Asking() as asking:
            for record in records():
                asking.tell(observer, "callStarted", record.request)
            for record in records():
                if record.answered is not None:
                    asking.tell(observer, "callAnswered", record.request.call)
            for record in records():
                asking.tell(observer, "callEnded", record.ended, record.media)


__all__ = ["ObserverConformance", "TapsConformance", "packets"]
