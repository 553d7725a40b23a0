"""
Tests of L{skypetrunk.core.diagnosis}.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.diagnosis import FaxInSound, Side, diagnose
from skypetrunk.interfaces import DirectionStatistics, LegStatistics, MediaWay

PUBLIC, OTHER_PUBLIC = "198.41.0.4", "193.0.14.129"


def office(received: Any = 3000, sent: Any = 3000, **fields: Any) -> Side:
    """A PBX and what was seen of it: counts, or all of a direction."""
    return side("office", "192.168.0.7", "192.168.0.1", received, sent, fields)


def carrier(received: Any = 3000, sent: Any = 3000, **fields: Any) -> Side:
    """The same of a carrier."""
    return side("carrier", PUBLIC, OTHER_PUBLIC, received, sent, fields)


def side(name: str, signalled: str, bound: str, received: Any, sent: Any, fields: dict[str, Any]) -> Side:
    """See L{office}; C{fields} are of side, leg and way."""
    way = MediaWay(told=bound, bound=bound, signalled=signalled, described=59.9, packetsSince=3000, quiet=0.0)
    own = {field: fields.pop(field) for field in ("expected", "seenAt") if field in fields}
    trip = fields.pop("roundTrip", None)
    came, went = (
        DirectionStatistics(packets=each) if isinstance(each, int) else each for each in (received, sent)
    )
    leg = LegStatistics(name, False, None, came, went, roundTrip=trip, way=replace(way, **fields))
    return Side(name, own.get("expected", True), leg, own.get("seenAt"))


def refused(count: int, **reasons: int) -> DirectionStatistics:
    """A direction with so many packets, and refusals."""
    return DirectionStatistics(packets=count, refused=tuple(reasons.items()))


def faxed(side: Side, came: int, went: int) -> Side:
    """It had T.38 at some time, with so many datagrams."""
    leg = side.leg
    received, sent = replace(leg.received, fax=came), replace(leg.sent, fax=went)
    return replace(side, leg=replace(leg, fax=True, received=received, sent=sent))


NONE: dict[str, Any] = {"packetsSince": 0, "quiet": None}


NINE = DirectionStatistics(packets=9)


class DiagnosisTests(SynchronousTestCase):
    """Each fault in figures, and what is none."""

    def found(self, near: Side, far: Side, seconds: float = 60.0) -> str | None:
        """The same whoever calls."""
        one = diagnose((near, far), seconds)
        self.assertEqual(diagnose((far, near), seconds), one)
        return one

    def test_faults(self) -> None:
        """One sentence each."""
        lossy = DirectionStatistics(packets=2900, lost=100, bursts=4, burstLost=95, burstLength=190)
        spread = DirectionStatistics(packets=2900, lost=100, bursts=1, burstLost=2, burstLength=9)
        for near, far, sentence in (
            (
                office(),
                carrier(refused(0, authentication=2900), **NONE),
                "packets of carrier arrive but fail authentication: it protects them with another key than"
                " its SDP says",
            ),
            (
                office(),
                carrier(packetsSince=0, unauthenticSince=400, described=12.2, quiet=12.0),
                "packets of carrier arrive but fail authentication since the re-INVITE 12 s ago",
            ),
            (
                office(refused(0, source=2900), 3000, stranger="192.168.0.9", **NONE),
                carrier(),
                "office sends from 192.168.0.9, its SDP says 192.168.0.7",
            ),
            (
                office(packetsSince=0, strangeSince=400, described=12.2, stranger="192.168.0.9"),
                carrier(),
                "office sends from 192.168.0.9 since the re-INVITE 12 s ago, its SDP says 192.168.0.7",
            ),
            (
                office(),
                carrier(DirectionStatistics(refused=(("no-key", 50),)), **NONE),
                "packets of carrier arrive, but no key for them was agreed",
            ),
            (office(refused(0, malformed=50), **NONE), carrier(), "what office sends is not RTP"),
            (
                office(),
                carrier(0, told="10.0.0.5", bound="10.0.0.5", seenAt=OTHER_PUBLIC, **NONE),
                "nothing comes back: carrier sends to 10.0.0.5 because our SDP says so, and sees us at"
                f" {OTHER_PUBLIC}: media.advertise",
            ),
            (
                office(),
                carrier(0, told="10.0.0.5", bound="10.0.0.5", **NONE),
                "nothing comes back: carrier sends to 10.0.0.5 because our SDP says so, which"
                f" {PUBLIC} cannot reach: media.advertise",
            ),
            (
                office(),
                carrier(0, bound="10.0.0.5", **NONE),
                f"nothing comes back: carrier sends to {OTHER_PUBLIC} because our SDP says so, and none of it"
                " arrives at 10.0.0.5: media.advertise",
            ),
            (
                office(),
                carrier(0, **NONE),
                f"one-way audio: carrier never sent; 3000 packets went to {PUBLIC}",
            ),
            (
                office(0, 3000, **NONE),
                carrier(3000, 0),
                "one-way audio: office never sent; 3000 packets went to 192.168.0.7",
            ),
            (office(), carrier(0, 0, **NONE), "one-way audio: carrier never sent"),
            (
                office(),
                carrier(3000, refused(0, unsent=3000)),
                f"packets for carrier cannot be sent to {PUBLIC}: no route, or a closed port",
            ),
            (office(quiet=25.0), carrier(), "office has sent nothing for 25 s"),
            (
                office(),
                carrier(lossy),
                "loss in bursts on the way from carrier: 3.3 %, in 4 bursts of 50 %",
            ),
            (office(), carrier(spread), "3.3 % of the packets are lost on the way from carrier"),
            (
                office(),
                carrier(3000, DirectionStatistics(packets=3000, lost=150, reports=9)),
                "5.0 % of the packets are lost on the way to carrier, as it reports",
            ),
            (
                office(DirectionStatistics(packets=3000, jitter=55.0)),
                carrier(),
                "packets come unevenly from office: jitter 55 ms",
            ),
            (
                office(DirectionStatistics(packets=3000, silent=True)),
                carrier(),
                "office sends nothing but digital silence",
            ),
            (
                office(DirectionStatistics(packets=3000, clipped=True)),
                carrier(),
                "the sound of office is too loud, and clipped",
            ),
            (office(), carrier(roundTrip=700.0), "the way to carrier and back takes 700 ms"),
        ):
            self.assertEqual(self.found(near, far), sentence)
        neither = {diagnose(pair, 60.0) for pair in ((office(0, 0, **NONE), carrier(0, 0, **NONE)),)}
        self.assertEqual(neither, {"neither office nor carrier sent a packet"})

    def test_none(self) -> None:
        """What is no fault, or cannot be known."""
        private: dict[str, Any] = {"told": "10.0.0.5", "bound": "10.0.0.5", "signalled": "10.0.0.20"}
        for near, far, seconds in (
            (office(), carrier(), 60.0),
            # Over before anything can be said.
            (office(), carrier(0, **NONE), 1.0),
            # On hold nobody has to send.
            (office(), carrier(0, expected=False, **NONE), 60.0),
            (office(quiet=25.0, expected=False), carrier(), 60.0),
            # Behind NAT, with both addresses told apart, and it works.
            (office(), carrier(bound="10.0.0.5", seenAt=OTHER_PUBLIC), 60.0),
            # A carrier in our own network.
            (office(), carrier(told="10.0.0.5", bound="10.0.0.5", signalled="10.0.0.20"), 60.0),
            # Some of another call's packets, some forgeries, a few losses.
            (office(refused(2900, source=40), stranger="192.168.0.9"), carrier(), 60.0),
            (office(), carrier(refused(2900, authentication=40, malformed=9)), 60.0),
            (office(DirectionStatistics(packets=3000, lost=20)), carrier(), 60.0),
            (office(DirectionStatistics(packets=20, lost=3)), carrier(), 60.0),
            # The first description, a second ago, before any packet of the peer.
            (office(packetsSince=0, unauthenticSince=9, described=60.0), carrier(), 60.0),
            # Lost on the way to us, and so never sent on.
            (
                office(DirectionStatistics(packets=2990, lost=25)),
                carrier(3000, DirectionStatistics(packets=2990, lost=27, reports=9)),
                60.0,
            ),
            # A leg of a plane that says nothing of addresses.
            (
                office(),
                Side("carrier", True, LegStatistics("c", True, None, NINE, NINE)),
                60.0,
            ),
        ):
            self.assertIsNone(self.found(near, far, seconds))
        silent = self.found(office(), carrier(0, **private, **NONE))
        self.assertEqual(silent, "one-way audio: carrier never sent; 3000 packets went to 10.0.0.20")

    def test_fax(self) -> None:
        """A call that has become a fax has no sound any more, and that is no fault."""
        quiet = {"packetsSince": 3, "quiet": 55.0}
        near, far = office(**quiet), carrier(**quiet)
        self.assertIsNotNone(diagnose((near, far), 60.0))
        self.assertIsNone(self.found(faxed(near, 300, 310), faxed(far, 310, 300)))

    def test_faxFaults(self) -> None:
        """What is wrong with a fax by T.38."""
        quiet = {"packetsSince": 3, "quiet": 55.0, "described": 50.0}
        some = faxed(office(**quiet), 300, 0), faxed(carrier(**quiet), 0, 300)
        unsent = DirectionStatistics(packets=900, refused=(("unsent", 280),))
        for near, far, sentence in (
            (*some, f"fax by T.38: carrier never sent a datagram; 300 went to {PUBLIC}"),
            (
                some[0],
                faxed(carrier(refused(900, source=290), stranger="198.41.0.9", **quiet), 0, 300),
                f"fax by T.38: carrier sends from 198.41.0.9, its SDP says {PUBLIC}",
            ),
            (
                some[0],
                faxed(carrier(refused(900, fax=2000), **quiet), 0, 300),
                "fax by T.38: carrier has agreed to it, and goes on to send sound",
            ),
            (
                faxed(office(**quiet), 300, 310),
                faxed(carrier(900, unsent, **quiet), 310, 20),
                f"fax by T.38: datagrams for carrier cannot be sent to {PUBLIC}",
            ),
        ):
            self.assertEqual(self.found(near, far), sentence)
        pair = faxed(office(**quiet), 0, 0), faxed(carrier(**quiet), 0, 0)
        self.assertEqual(diagnose(pair, 60.0), "fax by T.38: neither office nor carrier sent a datagram")
        # Sound that was on its way, packets of others, a moment after it was agreed.
        near = faxed(office(**quiet), 300, 310)
        for far in (
            faxed(carrier(refused(900, fax=20, source=3), stranger="198.41.0.9"), 310, 300),
            faxed(carrier(900, described=1.0), 0, 300),
            faxed(carrier(900, DirectionStatistics(packets=900, refused=(("unsent", 9),))), 310, 300),
        ):
            self.assertIsNone(self.found(near, far))

    def test_faxInSound(self) -> None:
        """T.38 was refused: the reason, and what a fax does not stand where an ear does."""
        wanted = FaxInSound("carrier", None)
        heard = DirectionStatistics(packets=3000, codec="PCMA")
        silent = replace(heard, silent=True)
        begin = "carrier wanted fax by T.38, which trunk.media.t38 refuses: "
        for near, far, sentence in (
            (office(heard), carrier(silent), begin + "it went on over G.711"),
            (office(heard), carrier(DirectionStatistics(3000, codec="CN")), begin + "it went on over G.711"),
            (
                office(replace(heard, lost=2)),
                carrier(heard),
                begin + "it went on over G.711, and 2 packets are lost on the way from office",
            ),
            (
                office(heard),
                carrier(DirectionStatistics(packets=3000, codec="G729", lost=2)),
                begin + "G729 carries no fax",
            ),
            (office(0, **NONE), carrier(0, **NONE), "neither office nor carrier sent a packet"),
        ):
            self.assertEqual(diagnose((near, far), 60.0, wanted), sentence)
        other = diagnose((office(heard), carrier(heard)), 60.0, FaxInSound("carrier", "office"))
        self.assertEqual(other, "carrier wanted fax by T.38, which office refuses: it went on over G.711")
        # It was taken later.
        pair = faxed(office(), 300, 310), faxed(carrier(), 310, 300)
        self.assertIsNone(diagnose(pair, 60.0, wanted))
        self.assertIsNone(diagnose((office(heard), carrier(heard)), 1.0, wanted))

    def test_worstFirst(self) -> None:
        """No audio counts more than bad audio, on whichever side."""
        lossy = DirectionStatistics(packets=2900, lost=100)
        found = self.found(office(refused(0, source=99), stranger="192.168.0.9", **NONE), carrier(lossy))
        self.assertEqual(found, "office sends from 192.168.0.9, its SDP says 192.168.0.7")
