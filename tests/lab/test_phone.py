"""Two phones that call each other over a network in memory."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.interfaces import IMessageChannel
from skypetrunk.lab.audio import examine
from skypetrunk.lab.calls import Phase
from skypetrunk.lab.phone import Phone
from skypetrunk.wire.message import Request, Response
from tests.lab.network import MemoryNetwork


def isRTP(datagram: bytes) -> bool:
    """Anything but SIP."""
    return datagram[0] >> 6 == 2


class PhoneTests(SynchronousTestCase):
    """Calls, with and without loss; the lab's user agents are tested against themselves here."""

    def setUp(self) -> None:
        """Two phones."""
        self.network = MemoryNetwork()
        self.ladder: list[tuple[bool, int | str]] = []
        self.one = self.phone("1001", 400, 1400, self.observe)
        self.two = self.phone("1002", 950, 650, None)

    def observe(self, sent: bool, message: Request | Response, channel: IMessageChannel) -> None:
        """Write down what the first phone sees."""
        self.ladder.append((sent, message.status if isinstance(message, Response) else message.method))

    def phone(
        self,
        user: str,
        calling: int,
        answering: int,
        observer: Callable[[bool, Request | Response, IMessageChannel], None] | None,
    ) -> Phone:
        """A phone that listens."""
        source = random.Random(user)
        made = Phone(
            self.network,  # type: ignore[arg-type]
            lambda: f"{source.getrandbits(64):016x}",
            source.randbytes,
            user,
            calling,
            answering,
            observer=observer,
        )
        made.listen()
        self.addCleanup(made.stop)
        return made

    def test_call(self) -> None:
        """Ringing, answer, both tones, and the end: nothing is left."""
        incoming = self.two.whenCalled()
        call = self.one.dial("1002", self.two.address)
        self.network.run(0.01)
        taken = self.successResultOf(incoming)
        self.assertEqual((taken.caller, taken.number, taken.phase), ("1001", "1002", Phase.RINGING))
        answered = call.when(Phase.ANSWERED)
        self.assertNoResult(answered)
        self.network.run(1.5)
        self.assertIs(self.successResultOf(answered), call)
        call.hangUp()
        self.network.run(0.01)
        self.assertEqual((taken.phase, taken.cause), (Phase.ENDED, "the other end hung up"))
        self.assertApproximates(taken.duration, 1.2, 0.02)
        assert call.session is not None and taken.session is not None
        self.assertTrue(examine(call.session.recording(), 650, [400]).recognised)
        self.assertTrue(examine(taken.session.recording(), 400, [650]).recognised)
        self.assertEqual(
            self.ladder,
            [
                (True, "INVITE"),
                (False, 100),
                (False, 180),
                (False, 200),
                (True, "ACK"),
                (True, "BYE"),
                (False, 200),
            ],
        )
        self.network.pump([1.0] * 40)
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertEqual(len(self.network.ports), 2)

    def test_everythingOnceLost(self) -> None:
        """Every SIP message that is lost once is made good for."""
        lost: set[bytes] = set()

        def lose(datagram: bytes) -> bool:
            first = datagram not in lost and not isRTP(datagram)
            lost.add(datagram)
            return first

        self.network.lose = lose
        call = self.one.dial("1002", self.two.address)
        self.network.pump([0.05] * 100)
        [taken] = self.two.agent.calls
        self.assertEqual((call.phase, taken.phase), (Phase.ANSWERED, Phase.ANSWERED))
        taken.hangUp()
        self.network.pump([0.5] * 100)
        self.assertEqual((self.one.agent.calls, self.two.agent.calls), ((), ()))
        self.assertEqual(self.one.agent.transactions.pending + self.two.agent.transactions.pending, 0)

    def test_cancelled(self) -> None:
        """A call that is given up while it rings."""
        self.two.ringing = None
        call = self.one.dial("1002", self.two.address)
        self.network.run(0.05)
        call.hangUp()
        self.network.run(0.05)
        self.assertEqual((call.status, call.cause, call.phase), (487, "cancelled", Phase.ENDED))
        self.assertEqual([each.cause for each in self.two.finished], ["cancelled by the caller"])

    def test_declined(self) -> None:
        """A call that is declined while it rings."""
        self.two.ringing = None
        call = self.one.dial("1002", self.two.address)
        self.network.run(0.05)
        self.two.agent.calls[0].hangUp()
        self.network.run(0.05)
        self.assertEqual((call.status, call.phase), (603, Phase.ENDED))

    def test_nobodyThere(self) -> None:
        """Without any answer the call ends after 64*T1."""
        self.two.stop()
        call = self.one.dial("1002", self.two.address)
        self.network.pump([0.5] * 70)
        self.assertEqual((call.status, call.phase), (408, Phase.ENDED))

    def test_hold(self) -> None:
        """The caller's hold silences the callee, and its end brings it back."""
        call = self.one.dial("1002", self.two.address)
        self.network.run(0.5)
        assert call.session is not None
        counts = []
        for direction in ("sendonly", "sendrecv"):
            call.renegotiate(direction)
            self.network.run(0.05)
            before = call.session.statistics().received.packets
            self.network.run(0.5)
            counts.append(call.session.statistics().received.packets - before)
        self.assertEqual(counts[0], 0)
        self.assertGreater(counts[1], 20)
