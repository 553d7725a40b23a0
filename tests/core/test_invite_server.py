"""Tests of L{skypetrunk.core.invite_server}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.core import invite_server
from skypetrunk.core.invite_server import InviteServer
from skypetrunk.core.timers import Timers
from skypetrunk.interfaces import IServerTransaction
from skypetrunk.testing import RecordingChannel
from skypetrunk.wire.message import Request, Response, responseTo
from tests.core.messages import incoming, undecided


@implementer(IServerTransaction)
class Answered:
    """A transaction that keeps what it is told to send, and when."""

    def __init__(self, request: Request, clock: Clock) -> None:
        self.request = request
        self.cancel: Request | None = None
        self.channel = RecordingChannel(clock)
        self.clock = clock
        self.sent: list[tuple[float, int]] = []

    def respond(self, response: Response) -> None:
        """Record it."""
        self.sent.append((self.clock.seconds(), response.status))


class User:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def inviteCancelled(self, server: InviteServer) -> None:
        """Record it."""
        self.events.append("cancelled")

    def inviteAcknowledged(self, server: InviteServer, ack: Request) -> None:
        """Record it."""
        self.events.append(f"acknowledged {ack.cseq.number}")

    def ackMissing(self, server: InviteServer) -> None:
        """Record it."""
        self.events.append("ACK missing")

    def prackMissing(self, server: InviteServer) -> None:
        """Record it."""
        self.events.append("prack missing")


class InviteServerTests(SynchronousTestCase):
    """One INVITE received."""

    def setUp(self) -> None:
        """An INVITE arrives."""
        self.clock = Clock()
        self.transaction = Answered(incoming(), self.clock)
        self.user = User()
        self.server = InviteServer(self.transaction, self.user, self.clock, Timers())
        verifyObject(IServerTransaction, self.transaction)

    def response(self, status: int) -> Response:
        """A response to it."""
        return responseTo(self.server.request, status, toTag="ours")

    def statuses(self) -> list[int]:
        """What was sent."""
        return [status for _, status in self.transaction.sent]

    def test_everyInputIsDecided(self) -> None:
        """Each state knows what to do with each input."""
        self.assertEqual(undecided(invite_server._machine), [])

    def test_accepted(self) -> None:
        """Provisional responses, then a 2xx until the ACK."""
        self.server.progress(self.response(180))
        self.server.progress(self.response(183))
        self.server.accept(self.response(200))
        self.clock.advance(0.5)
        self.server.ackReceived(incoming("ACK"))
        self.clock.advance(100)
        self.assertEqual(self.statuses(), [180, 183, 200, 200])
        self.assertEqual(self.user.events, ["acknowledged 1"])

    def test_13_3_1_4_schedule(self) -> None:
        """A 2xx is sent again after T1, twice that, and so on up to T2; the end is at 64*T1."""
        self.server.accept(self.response(200))
        self.clock.pump([0.25] * 128)
        times = [time for time, _ in self.transaction.sent]
        self.assertEqual(times, [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(self.user.events, ["ACK missing"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lateAck(self) -> None:
        """An ACK after the end, or a second one, is nothing new."""
        self.server.accept(self.response(200))
        self.server.ackReceived(incoming("ACK"))
        self.server.ackReceived(incoming("ACK"))
        self.assertEqual(self.user.events, ["acknowledged 1"])

    def test_refused(self) -> None:
        """One refusal, and nothing after it."""
        self.server.refuse(self.response(486))
        self.server.progress(self.response(180))
        self.server.accept(self.response(200))
        self.server.refuse(self.response(500))
        self.server.cancel(self.response(487))
        self.clock.advance(100)
        self.assertEqual((self.statuses(), self.user.events), ([486], []))

    def test_cancelled(self) -> None:
        """CANCEL: 487, then the user is told."""
        self.server.progress(self.response(180))
        self.server.cancel(self.response(487))
        self.server.accept(self.response(200))
        self.assertEqual((self.statuses(), self.user.events), ([180, 487], ["cancelled"]))

    def test_cancelTooLate(self) -> None:
        """CANCEL after the 2xx changes nothing; it is still sent until its ACK."""
        self.server.accept(self.response(200))
        self.server.cancel(self.response(487))
        self.server.refuse(self.response(500))
        self.server.progress(self.response(180))
        self.clock.advance(0.5)
        self.assertEqual((self.statuses(), self.user.events), ([200, 200], []))

    def test_stopped(self) -> None:
        """Stopped before or after the 2xx: no timer is left."""
        self.server.accept(self.response(200))
        self.server.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.server.stop()
        other = InviteServer(self.transaction, self.user, self.clock, Timers())
        other.stop()
        other.accept(self.response(200))
        self.assertEqual((self.statuses(), self.user.events), ([200], []))
