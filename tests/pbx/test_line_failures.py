"""A PBX in this process that fails, and the turns and channels between it and the trunk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.transactions import Transactions
from skypetrunk.errors import CallRefused, ChannelFailed
from skypetrunk.interfaces import AudioPacket, IPBXCall
from skypetrunk.pbx.memory import Turns, channelPair
from skypetrunk.testing import RecordingTransactionUser, countingToken
from skypetrunk.wire.address import parseAddress
from skypetrunk.wire.message import Request
from tests.pbx.linenet import SOUND, Boom, LineCase, User


class VendorFailureTests(LineCase):
    """What a vendor raises ends its call, is logged with its name, and nothing else."""

    def failing(self) -> None:
        """Raise."""
        raise Boom

    def test_attached(self) -> None:
        """Calls come all the same."""
        self.patch(self.vendor, "attached", lambda line: self.failing())
        self.net.line.attach()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.net.answeredCall()

    def test_callReceived(self) -> None:
        """500, also for what is no user of a call; after it was answered, BYE."""

        def answering(call: IPBXCall) -> None:
            call.answer()
            raise Boom

        def refusing(call: IPBXCall) -> None:
            call.answer()
            raise CallRefused("changed its mind", 486)

        self.vendor.take = lambda call: self.failing()
        self.net.incoming()
        self.vendor.take = lambda call: object()
        self.net.incoming()
        self.vendor.take = lambda call: sys.exit()
        self.net.incoming()
        self.assertEqual(self.carrier.got(), [100, 500] * 3)
        for take in (answering, refusing):
            self.vendor.take = take
            self.carrier.ack(self.net.incoming(), self.carrier.response(200))
            self.net.turn()
            self.assertEqual(self.carrier.got()[-1], "BYE")
        self.assertEqual(self.failures(), ["callReceived"] * 4)
        self.assertEqual(len(self.flushLoggedErrors(Boom, TypeError, SystemExit)), 4)

    def test_user(self) -> None:
        """Whatever it is told: raised at once, or by a Deferred; another call goes on."""
        _, _, other = self.net.answeredCall()
        ways: list[Callable[[], object]] = [self.failing, lambda: fail(Boom()), self.coroutine]
        number = 0
        for event in ("answered", "digitReceived", "packetReceived", "mediaChanged"):
            for failing in ways:
                number += 1
                self.vendor.on = {event: failing}
                _, call, user = self.net.answeredCall()
                if event != "answered":
                    # As the endpoint and the leg tell it.
                    call._told.digitReceived("1")  # type: ignore[attr-defined]
                    call._told.packetReceived(AudioPacket(SOUND, 1, 160, False))  # type: ignore[attr-defined]
                    call._tellChange(("", True))  # type: ignore[attr-defined]
                    self.net.turn()
                self.assertEqual(user.events[-1], ("ended", "hung up"), event)
                self.carrier.answers(self.carrier.request("BYE"), 200)
                self.net.turn()
                self.assertEqual(self.failures()[number - 1 :], [event])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), number)
        self.assertEqual(other.events, ["answered"])

    async def coroutine(self) -> None:
        """Raise, later."""
        raise Boom

    def test_last(self) -> None:
        """Also where it is the last that it is told."""
        for event in ("refused", "ended"):
            user = User()
            user.on["refused"] = self.failing
            if event == "refused":
                self.vendor.line.placeCall("404", "1", user)
            else:
                _, call, other = self.net.answeredCall()
                other.on["ended"] = self.failing
                call.hangUp()
            self.net.turn()
        self.assertEqual(self.failures(), ["refused", "ended"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)

    def test_frames(self) -> None:
        """What is played may fail while it is made."""

        def frames() -> Iterator[bytes]:
            yield SOUND
            raise Boom

        _, call, user = self.net.answeredCall()
        finished = call.media.play(frames())
        self.net.clock.pump([0, 0.02, 0])
        self.assertIs(self.successResultOf(finished), False)
        self.assertEqual((user.events[-1], self.failures()), (("ended", "hung up"), ["play"]))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class TurnsTests(SynchronousTestCase):
    """L{Turns}."""

    def test_order(self) -> None:
        """In order; one that fails keeps no other from its turn; at the end what waits is done at once."""
        clock, done = Clock(), []
        turns = Turns(clock)

        def first() -> None:
            done.append("first")
            turns.later(lambda: done.append("third"))
            raise Boom

        turns.later(first)
        turns.later(lambda: done.append("second"))
        self.assertEqual(done, [])
        clock.advance(0)
        self.assertEqual(done, ["first", "second", "third"])
        turns.later(lambda: done.append("fourth"))
        turns.stop()
        turns.later(lambda: done.append("never"))
        self.assertEqual((done[3:], clock.getDelayedCalls()), (["fourth"], []))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_closed(self) -> None:
        """A channel that is closed says so, and hears nothing."""
        clock = Clock()
        one, other = channelPair(Turns(clock), parseAddress("tcp:a:1"), parseAddress("tcp:b:1"))
        user = RecordingTransactionUser()
        one.receiver = other.receiver = Transactions(clock, user, countingToken())
        one.send(MESSAGE)
        other.close()
        clock.advance(0)
        self.assertEqual(user.events, [])
        self.assertRaises(ChannelFailed, other.send, MESSAGE)
        one.send(MESSAGE)


MESSAGE = Request("OPTIONS", "sip:a@b", ())
