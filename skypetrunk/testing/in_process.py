"""For PBXes that live in the process: calls that record what is done with them, and conformance tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IPBX, AudioPacket, IPBXCall, IPBXCallUser, IPBXLine, IPBXMedia
from skypetrunk.testing.conformance import NUMBERS

MOST_FRAMES = 3000
"""Frames that are taken of what is played: a minute."""


@implementer(IPBXMedia)
class RecordingPBXMedia:
    """
    Audio that goes nowhere.

    @ivar played: the frames of what was played to its end.
    @ivar sent: what was sent packet by packet.
    """

    def __init__(self, codec: str = "PCMA") -> None:
        self.codec = codec
        self.sending = True
        self.played: list[bytes] = []
        self.sent: list[bytes] = []
        self._playing: tuple[Iterable[bytes], Deferred[bool]] | None = None
        self._over = False

    @property
    def playing(self) -> bool:
        """Is something played?"""
        return self._playing is not None

    def play(self, frames: Iterable[bytes]) -> Deferred[bool]:
        """See L{IPBXMedia}; it goes on until the test calls L{finish}, or something stops it."""
        self.stop()
        finished: Deferred[bool] = Deferred()
        if self._over:
            finished.callback(False)
        else:
            self._playing = frames, finished
        return finished

    def stop(self) -> None:
        """See L{IPBXMedia}."""
        playing, self._playing = self._playing, None
        if playing is not None:
            playing[1].callback(False)

    def send(self, payload: bytes, marker: bool = False, timestamp: int | None = None) -> None:
        """See L{IPBXMedia}."""
        self.sent.append(payload)

    def end(self) -> None:
        """The call is over: nothing is played any more."""
        self._over, self.sending = True, False
        self.stop()

    def finish(self) -> None:
        """
        What is played comes to its end.

        @raise AssertionError: nothing is played, or a frame cannot be.
        """
        assert self._playing is not None, "nothing is played"
        (frames, finished), self._playing = self._playing, None
        for frame in islice(frames, MOST_FRAMES):
            assert isinstance(frame, bytes) and 0 < len(frame) <= 1280, f"{frame!r} cannot be played"
            self.played.append(frame)
        finished.callback(True)


@implementer(IPBXCall)
class RecordingPBXCall:
    """
    A call that C{events} says everything of: C{("answer",)}, C{("refuse", status)} and their like.

    @ivar over: it was refused or hung up.
    @ivar transferring: the outcome of C{transfer}, for the test to fire; C{None} without one.
    """

    def __init__(
        self,
        caller: str = "+442079460100",
        called: str = "+442079460200",
        callerName: str | None = None,
        codec: str = "PCMA",
    ) -> None:
        self.call = "c1"
        self.caller = caller
        self.callerName = callerName
        self.called = called
        self.media = RecordingPBXMedia(codec)
        self.events: list[tuple[object, ...]] = []
        self.over = False
        self.transferring: Deferred[None] | None = None

    def _did(self, *event: object) -> None:
        if not self.over:
            self.events.append(event)

    def ring(self) -> None:
        """Record it."""
        self._did("ring")

    def answer(self) -> None:
        """Record it."""
        self._did("answer")

    def refuse(self, refusal: CallRefused) -> None:
        """Record its status."""
        self._did("refuse", refusal.status)
        self.end()

    def hangUp(self) -> None:
        """Record it."""
        self._did("hangUp")
        self.end()

    def transfer(self, called: str) -> Deferred[None]:
        """Record it; what becomes of it the test says."""
        if self.over or self.transferring is not None:
            return fail(CallRefused("it cannot be transferred now", 491))
        self._did("transfer", called)
        self.transferring = Deferred()
        return self.transferring

    def transferred(self) -> None:
        """C{called} has answered: the call is over."""
        transferring, self.transferring = self.transferring, None
        assert transferring is not None, "nothing is transferred"
        transferring.callback(None)
        self.end()

    def notTransferred(self, refusal: CallRefused) -> None:
        """C{called} did not answer: the call goes on."""
        transferring, self.transferring = self.transferring, None
        assert transferring is not None, "nothing is transferred"
        transferring.errback(refusal)

    def end(self) -> None:
        """It is over, whoever ended it: nothing is played or transferred any more."""
        self.over = True
        self.media.end()
        if self.transferring is not None:
            self.notTransferred(CallRefused("the call is over", 487))


@implementer(IPBXLine)
class RecordingPBXLine:
    """
    A line whose calls go nowhere.

    @ivar placed: the calls that were placed, with their users.
    """

    name = "attendant"

    def __init__(self) -> None:
        self.placed: list[tuple[RecordingPBXCall, IPBXCallUser]] = []

    def placeCall(
        self, called: str, caller: str, user: IPBXCallUser, callerName: str | None = None
    ) -> RecordingPBXCall:
        """Record it."""
        call = RecordingPBXCall(caller, called, callerName)
        self.placed.append((call, user))
        return call


class PBXConformance:
    """For L{IPBX}."""

    def makePBX(self) -> IPBX:
        """The PBX to test, ready, and not attached to a line."""
        raise NotImplementedError("makePBX makes the PBX that is tested")

    def _take(self, pbx: IPBX, call: RecordingPBXCall) -> IPBXCallUser | None:
        """The user of a call, C{None} if it was refused in a way that refuses."""
        try:
            user = pbx.callReceived(call)
        except CallRefused as refusal:
            assert refusal.status is None or 400 <= refusal.status <= 699, f"refused with {refusal.status}"
            call.end()
            return None
        assert IPBXCallUser.providedBy(user), f"callReceived returned {user!r}"
        return user

    def _tell(self, user: IPBXCallUser, *events: Callable[[IPBXCallUser], Any]) -> None:
        """What is told may be done later, and may not fail."""
        failed: list[object] = []
        for event in events:
            said = event(user)
            if isinstance(said, Coroutine):
                said = Deferred.fromCoroutine(said)
            assert said is None or isinstance(said, Deferred), f"returned {said!r}"
            if said is not None:
                said.addErrback(failed.append)
        assert not failed, failed

    def _attached(self) -> IPBX:
        pbx = self.makePBX()
        pbx.attached(RecordingPBXLine())
        return pbx

    def test_pbxProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IPBX, self.makePBX())

    def test_pbxTakesCalls(self) -> None:
        """Whoever calls and whatever is called, in either codec: a user, or a refusal that refuses."""
        pbx = self._attached()
        for codec in ("PCMA", "PCMU"):
            for number in NUMBERS:
                call = RecordingPBXCall(number, number[::-1], number, codec)
                user = self._take(pbx, call)
                if user is not None:
                    assert verifyObject(IPBXCallUser, user)
                    self._tell(user, lambda user: user.ended("the other side hung up"))
                call.end()

    def test_pbxTogether(self) -> None:
        """Calls at the same time know nothing of each other."""
        pbx = self._attached()
        calls = [RecordingPBXCall() for _ in range(5)]
        users = [self._take(pbx, call) for call in calls]
        for user in users:
            if user is not None:
                self._tell(user, lambda user: user.answered())
        for call, user in zip(calls, users, strict=True):
            call.end()
            if user is not None:
                self._tell(user, lambda user: user.ended("the other side hung up"))

    def test_pbxEndsAnywhere(self) -> None:
        """A call may end after every event, in the middle of what is played or transferred."""
        sound = AudioPacket(b"\xd5" * 160, 65535, 0xFFFFFFFF, True)
        odd = AudioPacket(b"\x00", 0, 0, False)
        events: list[Callable[[IPBXCallUser], Any]] = [
            lambda user: user.answered(),
            lambda user: user.packetReceived(sound),
            lambda user: user.packetReceived(odd),
            lambda user: user.mediaChanged(),
            *[lambda user, key=key: user.digitReceived(key) for key in "0123456789*#ABCD"],
        ]
        for count in range(len(events) + 1):
            pbx, call = self._attached(), RecordingPBXCall()
            user = self._take(pbx, call)
            if user is None:
                continue
            for event in events[:count]:
                if not call.over:
                    self._tell(user, event)
            call.end()
            self._tell(user, lambda user: user.ended("the other side hung up"))


__all__ = ["PBXConformance", "RecordingPBXCall", "RecordingPBXLine", "RecordingPBXMedia"]
