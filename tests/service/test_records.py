"""The book of calls, and the line that says what a media leg saw."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.diagnosis import CallMedia
from skypetrunk.interfaces import CallEnded, CallRequest, DirectionStatistics, IDialogObserver, LegStatistics
from skypetrunk.media.kept_leg import PendingStatistics
from skypetrunk.service.records import KEPT, CallBook, evidence

SECURE = LegStatistics(
    "1/carrier",
    True,
    "AES_CM_128_HMAC_SHA1_80",
    DirectionStatistics(packets=10, authenticated=10, lost=2, rtcpPackets=1, refused=(("replay", 3),)),
    DirectionStatistics(packets=7, authenticated=7),
)
PLAIN = LegStatistics(
    "1/office", False, None, DirectionStatistics(packets=7), DirectionStatistics(packets=10)
)


def legOf(leg: LegStatistics) -> Any:
    """As it stands in the status."""
    described = json.loads(json.dumps(asdict(leg)))
    for direction in ("received", "sent"):
        described[direction]["refused"] = dict(described[direction]["refused"])
    return described


class CallBookTests(SynchronousTestCase):
    """Calls that come and go."""

    def setUp(self) -> None:
        """An empty book."""
        self.clock = Clock()
        self.book = CallBook(self.clock.seconds)

    def begin(self, call: str) -> None:
        """A call starts."""
        self.book.callStarted(CallRequest(call, "1001", "+44", "office", ("carrier",)))

    def test_up(self) -> None:
        """Rings, is answered, is over; always ready for JSON."""
        self.assertTrue(verifyObject(IDialogObserver, self.book))
        self.begin("a")
        self.clock.advance(2)
        self.book.callAnswered("a")
        self.begin("b")
        self.clock.advance(1)
        media = {"a": CallMedia((PLAIN,), ("carrier",), "no sound"), "gone": CallMedia((SECURE,))}
        self.assertEqual(
            json.loads(json.dumps(self.book.up(media))),
            [
                {
                    "call": "a",
                    "from": "office",
                    "caller": "1001",
                    "called": "+44",
                    "age": 3,
                    "answered": True,
                    "media": [legOf(PLAIN)],
                    "silent": ["carrier"],
                    "diagnosis": "no sound",
                },
                {
                    "call": "b",
                    "from": "office",
                    "caller": "1001",
                    "called": "+44",
                    "age": 1,
                    "answered": False,
                    "media": [],
                    "silent": [],
                    "diagnosis": None,
                },
            ],
        )
        self.book.callEnded(CallEnded("a", "hung up", None, "caller", 1.0), [SECURE, PLAIN])
        self.assertEqual([call["call"] for call in self.book.up({})], ["b"])
        [record] = json.loads(json.dumps(list(self.book.ended)))
        self.assertEqual((record["called"], record["cause"], record["duration"]), ("+44", "hung up", 1.0))
        self.assertEqual([leg["received"]["refused"] for leg in record["media"]], [{"replay": 3}, {}])
        self.assertEqual(self.book.started, 2)

    def test_clockSetBack(self) -> None:
        """A call is no younger than now."""
        self.clock.rightNow = 100.0
        self.book.callStarted(CallRequest("c1", "1001", "+44", "office", ("carrier",)))
        self.clock.rightNow = 40.0
        self.assertEqual([each["age"] for each in self.book.up({})], [0])

    def test_closing(self) -> None:
        """A leg of which the last word is not in yet, as a media worker has it, looks as any other."""
        self.begin("a")
        values = {each.name: getattr(PLAIN, each.name) for each in fields(PLAIN)}
        final: Deferred[LegStatistics] = Deferred()
        final.addCallback(lambda value: self.book)
        pending = PendingStatistics(**values, final=final)
        (call,) = self.book.up({"a": CallMedia((pending,))})
        self.assertEqual(call["media"], [legOf(PLAIN)])
        self.assertNotIn("final", json.dumps(call))

    def test_bounded(self) -> None:
        """The last calls are kept, not all; one that was never heard of does no harm."""
        for number in range(KEPT + 5):
            self.book.callAnswered(f"{number}")
            self.book.callEnded(CallEnded(f"{number}", "gone", 503, "trunk", 0.0), ())
        self.assertEqual([self.book.ended[0]["call"], len(self.book.ended)], ["5", KEPT])

    def test_evidence(self) -> None:
        """One line with what was proved."""
        self.assertEqual(
            evidence(SECURE),
            "1/carrier: AES_CM_128_HMAC_SHA1_80: 10 authenticated, 10 packets received, 2 lost, 3 refused"
            " (replay); 7 sent; RTCP 1 received, 0 sent",
        )
        self.assertEqual(
            evidence(PLAIN),
            "1/office: plain RTP: 7 packets received, 0 lost; 10 sent; RTCP 0 received, 0 sent",
        )
        # Of a call that was not answered.
        line = evidence(replace(SECURE, suite=None))
        self.assertTrue(line.startswith("1/carrier: SRTP, no key agreed: 10 authenticated, "), line)

    def test_fax(self) -> None:
        """T.38 is told of where there was some, and that it was in clear."""
        directions = DirectionStatistics(fax=12), DirectionStatistics(fax=30)
        line = evidence(replace(SECURE, fax=True, received=directions[0], sent=directions[1]))
        self.assertIn("; T.38 in clear: 12 datagrams received, 30 sent", line)
        self.assertNotIn("T.38", evidence(SECURE))
        self.begin("a")
        (call,) = self.book.up({"a": CallMedia((replace(SECURE, fax=True),))})
        self.assertTrue(call["media"][0]["fax"])

    def test_way(self) -> None:
        """What the way did to the packets is said where it did anything."""
        received = DirectionStatistics(
            packets=90,
            lost=9,
            longestLoss=4,
            bursts=2,
            burstLost=8,
            burstLength=20,
            reordered=3,
            duplicates=2,
            resumptions=1,
            jitter=1.25,
            worstJitter=20.0,
            codec="PCMA",
            opinion=3.5,
        )
        self.assertIn(
            ", 9 lost (4 in a row, 2 bursts of 40 % loss), 3 reordered, 2 twice,"
            " roll-over counter lost 1 times, jitter 1.2 ms, 20.0 at worst, MOS 3.50 (PCMA);",
            evidence(replace(PLAIN, received=received)),
        )

    def test_receiver(self) -> None:
        """What the peer reports, and how far away it is, where it reports anything."""
        sent = DirectionStatistics(
            packets=100,
            reports=3,
            lost=4,
            jitter=2.0,
            worstJitter=9.5,
            codec="PCMA",
            opinion=4.0,
            conversation=3.9,
        )
        line = evidence(replace(PLAIN, sent=sent, roundTrip=30.4, worstRoundTrip=95.0))
        self.assertTrue(
            line.endswith(
                "; 100 sent, as the receiver says: 4 lost, jitter 2.0 ms, 9.5 at worst, MOS 4.00 (PCMA, 3.90"
                " with delay); RTCP 0 received, 0 sent; round trip 30 ms, 95 at worst"
            ),
            line,
        )
