"""The conformance tests of PBXes in the process: what is right passes, each thing that is wrong is found."""

from __future__ import annotations

from typing import Any
from unittest import TestResult

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IPBX, IPBXCall, IPBXCallUser, IPBXLine, IPBXMedia
from skypetrunk.testing import PBXConformance, RecordingPBXCall, RecordingPBXLine, RecordingPBXMedia
from tests.typing.vendor import Announcement, Announcements


class AnnouncementsTests(PBXConformance, SynchronousTestCase):
    """A vendor's PBX."""

    def makePBX(self) -> IPBX:
        """Of few words."""
        return Announcements()


class Wrong(Announcement):
    """A caller's side that does one thing wrong."""

    def __init__(self, call: IPBXCall, **wrong: Any) -> None:
        super().__init__(call)
        self.call = call
        for name, method in wrong.items():
            setattr(self, name, lambda *told, method=method: method(self))


@implementer(IPBX)
class Exchange:
    """Takes every call in one way."""

    def __init__(self, take: Any) -> None:
        self._take = take

    def attached(self, line: IPBXLine) -> None:
        """Nothing."""

    def callReceived(self, call: IPBXCall) -> IPBXCallUser:
        """As told."""
        user: IPBXCallUser = self._take(call)
        return user


def refusing(call: IPBXCall) -> IPBXCallUser:
    """With a status that is none."""
    raise CallRefused("odd", 200)


class WrongTests(SynchronousTestCase):
    """What the tests find."""

    def failed(self, take: Any) -> set[str]:
        """The tests that a PBX fails."""
        case = type("Case", (PBXConformance, SynchronousTestCase), {"makePBX": lambda self: Exchange(take)})
        found = set()
        for name in ("Provided", "TakesCalls", "Together", "EndsAnywhere", "Plays"):
            result = TestResult()
            case(f"test_pbx{name}").run(result)
            if not result.wasSuccessful():
                found.add(name)
        return found

    def test_right(self) -> None:
        """One that takes every call, and one that takes none."""

        def closed(call: IPBXCall) -> IPBXCallUser:
            raise CallRefused("closed", 480)

        self.assertEqual((self.failed(Announcement), self.failed(closed)), (set(), set()))

    def test_wrong(self) -> None:
        """Each mistake, by the tests that must find it."""
        calls = {"TakesCalls", "Together", "EndsAnywhere", "Plays"}

        async def stopped(user: Any) -> None:
            # Who hangs up in the middle of what is played is no mistake.
            assert await user.call.media.play([b"\xd5" * 160])

        async def transferred(user: Any) -> None:
            await user.call.transfer("1000")

        def written(user: Any) -> None:
            user.call.media.play(["text"])

        for take, wrong in (
            (lambda call: object(), calls),
            (lambda call: 1 / 0, calls),
            (refusing, calls),
            (lambda call: Wrong(call, ended=lambda user: 1 / 0), calls),
            (lambda call: Wrong(call, ended=lambda user: False), calls),
            (lambda call: Wrong(call, answered=lambda user: fail(KeyError())), calls - {"TakesCalls"}),
            (lambda call: Wrong(call, digitReceived=lambda user: [][0]), {"EndsAnywhere", "Plays"}),
            (lambda call: Wrong(call, answered=stopped), calls - {"TakesCalls"}),
            (lambda call: Wrong(call, digitReceived=transferred), {"EndsAnywhere", "Plays"}),
            (lambda call: Wrong(call, answered=written), {"Plays"}),
            (lambda call: Wrong(call, packetReceived=lambda user: [][0]), {"EndsAnywhere"}),
        ):
            self.assertEqual(self.failed(take), wrong, str(take))


class DoubleTests(SynchronousTestCase):
    """The doubles."""

    def test_provided(self) -> None:
        """They are what they say."""
        call = RecordingPBXCall()
        for interface, double in (
            (IPBXCall, call),
            (IPBXMedia, call.media),
            (IPBXLine, RecordingPBXLine()),
        ):
            self.assertTrue(verifyObject(interface, double))

    def test_call(self) -> None:
        """What is done is kept, and nothing after the end."""
        call = RecordingPBXCall()
        call.ring()
        call.answer()
        playing = call.media.play([b"a"])
        call.hangUp()
        call.hangUp()
        self.assertEqual(call.events, [("ring",), ("answer",), ("hangUp",)])
        self.assertIs(self.successResultOf(playing), False)
        self.assertIs(self.successResultOf(call.media.play([b"a"])), False)

    def test_transfer(self) -> None:
        """One at a time; what becomes of it the test says, or the end of the call."""
        call = RecordingPBXCall()
        first = call.transfer("1001")
        self.failureResultOf(call.transfer("1002"), CallRefused)
        call.notTransferred(CallRefused("busy", 486))
        self.assertEqual(self.failureResultOf(first, CallRefused).value.status, 486)
        second = call.transfer("1002")
        call.transferred()
        self.successResultOf(second)
        self.assertTrue(call.over)
        other = RecordingPBXCall()
        third = other.transfer("1001")
        other.hangUp()
        self.failureResultOf(third, CallRefused)
        self.failureResultOf(other.transfer("1001"), CallRefused)
        self.assertEqual(call.events, [("transfer", "1001"), ("transfer", "1002")])

    def test_media(self) -> None:
        """What cannot be played is found; an endless sound is cut."""
        media = RecordingPBXMedia()
        self.assertRaises(AssertionError, media.finish)
        playing: Deferred[bool] = media.play(iter(lambda: b"a" * 160, b""))
        media.finish()
        self.assertIs(self.successResultOf(playing), True)
        self.assertEqual(len(media.played), 3000)
        for frame in (b"", b"x" * 1281):
            media.play([frame])
            self.assertRaises(AssertionError, media.finish)
