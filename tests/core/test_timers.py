"""
Tests of L{skypetrunk.core.timers}, and of every transmission time that C{vectors/flows/timers.json} lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core import keep_alive, session_timer
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.timers import StateTimers, Timers, waiting
from skypetrunk.core.transactions import Transactions
from skypetrunk.testing import RecordingChannel, RecordingClientUser, RecordingTransactionUser, countingToken
from skypetrunk.wire.message import responseTo
from tests.core.messages import VECTORS, answer, incoming, outgoing
from tests.core.test_invite_server import User

#: Timers of the table that nobody here runs, with the reason.
OTHERS = {"C": "of proxies; a user agent waits until its user or the other side has had enough"}


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
        """Each schedule of the vectors has a test here."""
        tested = {name.removeprefix("test_schedule_") for name in dir(self) if "test_schedule_" in name}
        self.assertEqual(tested, set(self.vectors["schedules_seconds"]))

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

    def test_schedule_2xx_until_ack_any_transport(self) -> None:
        """RFC 3261 section 13.3.1.4: a 2xx is sent again, over TLS too; without ACK its user is told."""
        for transport in ("udp", "tcp", "tls"):
            self.setUp()
            channel = RecordingChannel(self.clock, f"{transport}:192.0.2.1:5061")
            via = f"SIP/2.0/{transport.upper()} 192.0.2.1:5061;branch=z9hG4bKpeer1"
            self.layer.messageReceived(incoming(via=via), channel)
            channel.clear()
            transaction, answering = self.user.transactions[0], User()
            server = InviteServer(transaction, answering, self.clock, Timers())
            server.accept(responseTo(transaction.request, 200, toTag="ours"))
            self.check("2xx_until_ack_any_transport", channel)
            self.assertEqual(answering.events, ["ACK missing"])

    def test_reliable_provisional(self) -> None:
        """RFC 3262 section 3: T1, doubling without the bound of T2, up to 64*T1."""
        self.assertEqual(self.vectors["other"]["prack_retransmit"].split(" (")[0], "T1 doubling, up to 64*T1")
        channel, answering = RecordingChannel(self.clock), User()
        request = incoming().withHeader("Require", "100rel").withBody(b"v=0", "application/sdp")
        self.layer.messageReceived(request, channel)
        channel.clear()
        transaction = self.user.transactions[0]
        server = InviteServer(transaction, answering, self.clock, Timers())
        server.progress(responseTo(transaction.request, 180, toTag="ours"))
        for _ in range(64):
            self.clock.advance(0.5)
        self.assertEqual(channel.times(), [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
        self.assertEqual(answering.events, ["prack missing"])

    def test_others(self) -> None:
        """The times that other RFCs add."""
        other = self.vectors["other"]
        self.assertEqual(keep_alive.PONG_SECONDS, other["rfc5626_crlf_pong_s"])
        self.assertEqual(session_timer.LEAST, other["rfc4028_min_se_s"])

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


class TableTests(SynchronousTestCase):
    """
    RFC 3261 table 4 with the timers of RFC 6026, each played over UDP and TLS: from what starts it to what it
    does.
    """

    def begin(self, reliable: bool) -> None:
        """Nothing was sent yet."""
        transport, port = ("TLS", 5061) if reliable else ("UDP", 5060)
        self.clock = Clock()
        self.user = RecordingTransactionUser()
        self.client = RecordingClientUser()
        self.layer = Transactions(self.clock, self.user, countingToken())
        self.channel = RecordingChannel(self.clock, f"{transport.lower()}:192.0.2.1:{port}")
        self.via = f"SIP/2.0/{transport} 192.0.2.1:{port};branch=z9hG4bKpeer1"

    def after(self, happened: Callable[[], object]) -> float | None:
        """Seconds until something happens; C{None}: not in 40."""
        begun = self.clock.seconds()
        while not happened():
            if self.clock.seconds() - begun > 40:
                return None
            self.clock.advance(0.125)
        return self.clock.seconds() - begun

    def gone(self) -> bool:
        """No transaction is left."""
        return self.layer.pending == 0

    def sent(self, method: str) -> None:
        """A request of ours."""
        self.layer.sendRequest(outgoing(method), self.channel, self.client)

    def answered(self, status: int) -> None:
        """The peer's answer to it."""
        self.layer.messageReceived(answer(self.channel.requests[0], status), self.channel)

    def received(self, method: str, status: int) -> None:
        """A request of the peer, answered."""
        self.layer.messageReceived(incoming(method, via=self.via), self.channel)
        self.channel.clear()
        transaction = self.user.transactions[0]
        transaction.respond(responseTo(transaction.request, status, toTag="ours"))

    def acknowledged(self) -> None:
        """The ACK of our refusal."""
        self.layer.messageReceived(incoming("ACK", via=self.via, toTag=";tag=ours"), self.channel)

    def play(self, name: str) -> float | None:
        """When the timer C{name} does what it is for."""
        again: Callable[[], object] = lambda: len(self.channel.sent) > 1  # noqa: E731
        over: Callable[[], object] = lambda: self.client.events  # noqa: E731
        if name in "ABDM":
            self.sent("INVITE")
        elif name in "EFK":
            self.sent("OPTIONS")
        elif name in "GHI":
            self.received("INVITE", 486)
        else:
            self.received(*(("OPTIONS", 200) if name == "J" else ("INVITE", 200)))
        if name in "DKM":
            self.answered({"D": 486, "K": 200, "M": 200}[name])
        elif name == "I":
            self.acknowledged()
        waited = {"A": again, "E": again, "G": again, "B": over, "F": over}
        if name == "H":
            return self.after(lambda: self.user.events[1:])
        return self.after(waited.get(name, self.gone))

    def test_table(self) -> None:
        """Every timer of the table, over both kinds of transport, at the second that stands there."""
        timers: list[dict[str, Any]] = json.loads((VECTORS / "flows" / "timers.json").read_text())["timers"]
        self.assertEqual("".join(timer["name"] for timer in timers), "ABCDEFGHIJKLM")
        for timer in timers:
            if timer["name"] in OTHERS:
                continue
            for reliable, key in ((False, "unreliable_s"), (True, "reliable_s")):
                self.begin(reliable)
                self.assertEqual(self.play(timer["name"]), timer[key], f"{timer['name']}, {key}")


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
