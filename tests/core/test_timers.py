"""
Tests of L{skypetrunk.core.timers}, and of every transmission time that C{vectors/flows/timers.json} lists.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.timers import StateTimers, Timers, waiting
from skypetrunk.core.transactions import Transactions
from skypetrunk.testing import RecordingChannel, RecordingClientUser, RecordingTransactionUser, countingToken
from skypetrunk.wire.message import responseTo
from tests.core.messages import VECTORS, answer, incoming, outgoing

#: Schedules of the vectors that other modules keep, with the reason.
ELSEWHERE = {"2xx_until_ack_any_transport": "the user retransmits its 2xx (RFC 6026 section 8.7)"}


class TimersTests(SynchronousTestCase):
    """The values of RFC 3261 table 4."""

    def setUp(self) -> None:
        """Read the vectors."""
        self.vectors: dict[str, Any] = json.loads((VECTORS / "flows" / "timers.json").read_text())
        self.clock = Clock()
        self.user = RecordingTransactionUser()
        self.layer = Transactions(self.clock, self.user, countingToken())

    def runOut(self) -> None:
        """40 seconds pass, in steps that meet each time exactly."""
        for _ in range(320):
            self.clock.advance(0.125)

    def test_defaults(self) -> None:
        """T1, T2 and T4 are those of the RFC."""
        timers = Timers()
        self.assertEqual(
            {"T1": timers.t1, "T2": timers.t2, "T4": timers.t4}, self.vectors["defaults_seconds"]
        )

    def test_bound(self) -> None:
        """All timers of 64*T1 are one value."""
        bounds = {t["unreliable_s"] for t in self.vectors["timers"] if t["name"] in "BDFHJLM"}
        self.assertEqual(bounds, {Timers().bound})

    def test_every_schedule_is_run(self) -> None:
        """Each schedule of the vectors has a test here, or a reason to be elsewhere."""
        tested = {name.removeprefix("test_schedule_") for name in dir(self) if "test_schedule_" in name}
        self.assertEqual(tested | set(ELSEWHERE), set(self.vectors["schedules_seconds"]))

    def check(self, name: str, channel: RecordingChannel) -> None:
        """Everything sent over C{channel} left at the times of the schedule C{name}."""
        self.runOut()
        self.assertEqual(channel.times(), self.vectors["schedules_seconds"][name])
        self.assertEqual(self.layer.pending, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_schedule_invite_request_unreliable(self) -> None:
        """RFC 3261 section 17.1.1.2, timers A and B."""
        channel, user = RecordingChannel(self.clock), RecordingClientUser()
        self.layer.sendRequest(outgoing(), channel, user)
        self.check("invite_request_unreliable", channel)
        self.assertEqual(user.events, [("timed out",)])

    def test_schedule_non_invite_request_unreliable(self) -> None:
        """RFC 3261 section 17.1.2.2, timers E and F."""
        channel, user = RecordingChannel(self.clock), RecordingClientUser()
        self.layer.sendRequest(outgoing("OPTIONS"), channel, user)
        self.check("non_invite_request_unreliable", channel)
        self.assertEqual(user.events, [("timed out",)])

    def test_schedule_non_2xx_until_ack_unreliable(self) -> None:
        """RFC 3261 section 17.2.1, timers G and H."""
        channel = RecordingChannel(self.clock)
        self.layer.messageReceived(incoming(), channel)
        channel.clear()
        transaction = self.user.transactions[0]
        transaction.respond(responseTo(transaction.request, 486, toTag="ours"))
        self.check("non_2xx_until_ack_unreliable", channel)
        self.assertEqual(
            self.user.events, [("request", "INVITE"), ("failed", "no ACK within 32 s (timer H)")]
        )

    def test_reliable_sends_once(self) -> None:
        """Over TLS nothing is retransmitted; the bounds are the same."""
        channel = RecordingChannel(self.clock, "tls:192.0.2.1:5061")
        users = [RecordingClientUser(), RecordingClientUser()]
        self.layer.sendRequest(outgoing(), channel, users[0])
        self.layer.sendRequest(outgoing("OPTIONS"), channel, users[1])
        via = "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKpeer1"
        self.layer.messageReceived(incoming(via=via), channel)
        transaction = self.user.transactions[0]
        transaction.respond(responseTo(transaction.request, 486, toTag="ours"))
        self.clock.advance(31.9)
        self.assertEqual(channel.summary(), ["INVITE", "OPTIONS", 100, 486])
        self.assertEqual(self.layer.pending, 3)
        self.clock.advance(0.2)
        self.assertEqual(channel.summary(), ["INVITE", "OPTIONS", 100, 486])
        self.assertEqual([user.events for user in users], [[("timed out",)], [("timed out",)]])
        self.assertEqual(self.user.events[1:], [("failed", "no ACK within 32 s (timer H)")])
        self.assertEqual(self.layer.pending, 0)

    def test_17_1_2_2_interval_after_provisional(self) -> None:
        """After a 1xx, timer E runs on as it was, and then at T2."""
        channel, user = RecordingChannel(self.clock), RecordingClientUser()
        transaction = self.layer.sendRequest(outgoing("OPTIONS"), channel, user)
        self.clock.advance(0.5)
        self.clock.advance(0.125)
        self.layer.messageReceived(answer(transaction.request, 100), channel)
        self.runOut()
        self.assertEqual(channel.times(), [0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5])
        self.assertEqual(user.events, [("response", 100), ("timed out",)])


class StateTimersTests(SynchronousTestCase):
    """L{StateTimers} and L{waiting}."""

    def test_cancel_all(self) -> None:
        """Nothing that was started fires after the state is left."""
        clock = Clock()
        fired: list[str] = []
        timers = StateTimers(clock.callLater(2, fired.append, "expired"))
        timers.resendBy(clock.callLater(1, fired.append, "resend"))
        clock.advance(1)
        timers.resendBy(clock.callLater(0.5, fired.append, "resend again"))
        timers.cancel()
        clock.advance(10)
        self.assertEqual(fired, ["resend"])

    def test_zero(self) -> None:
        """A timer of 0 seconds has fired when the state is entered."""
        clock = Clock()
        fired: list[str] = []
        waiting(clock, 0.0, lambda: fired.append("expired")).cancel()
        self.assertEqual((fired, clock.getDelayedCalls()), (["expired"], []))
