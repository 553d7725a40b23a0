"""For PBXes that live in the process: calls that record what is done with them, and conformance tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused
from skypetrunk.interfaces import IPBX, AudioPacket, IPBXCall, IPBXCallUser, IPBXLine, IPBXMedia
from skypetrunk.testing.asking import Asking
from skypetrunk.testing.conformance import NUMBERS

MOST_FRAMES = 3000
"""Frames that are taken of what is played: a minute."""

MOST_SOUNDS = 3
"""Sounds one after the other that are played to their ends: some are repeated for ever."""

KEYS = "0123456789*#ABCD"
"""All there are."""


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

    def _attached(self, asking: Asking) -> tuple[IPBX, RecordingPBXLine]:
        pbx, line = self.makePBX(), RecordingPBXLine()
        asking.tell(pbx, "attached", line)
        return pbx, line

    def _take(self, asking: Asking, pbx: IPBX, call: RecordingPBXCall) -> IPBXCallUser | None:
        """The user of a call, C{None} if it was refused in a way that refuses."""
        try:
            user = asking.ask(pbx, "callReceived", call)
        except CallRefused as refusal:
            status = refusal.status
            assert status is None or 400 <= status <= 699, (
                f"callReceived refused with {status}, not 400 to 699"
            )
            call.end()
            return None
        assert IPBXCallUser.providedBy(user), f"callReceived returned {user!r}, which is no IPBXCallUser"
        assert verifyObject(IPBXCallUser, user)
        taken: IPBXCallUser = user
        return taken

    def _end(self, asking: Asking, call: RecordingPBXCall, user: IPBXCallUser | None) -> None:
        call.end()
        if user is not None:
            asking.tellUser(user, "ended", "the other side hung up")

    def _refuse(self, asking: Asking, line: RecordingPBXLine) -> None:
        """Whatever call the PBX has placed rings, and is refused."""
        for call, user in line.placed:
            assert verifyObject(IPBXCallUser, user)
            asking.tellUser(user, "progressed", 180)
            call.end()
            asking.tellUser(user, "refused", CallRefused("busy", 486, cause=17))

    def test_pbxProvided(self) -> None:
        """The methods have the right names and arguments."""
        assert verifyObject(IPBX, self.makePBX())

    def test_pbxTakesCalls(self) -> None:
        """Whoever calls and whatever is called, in either codec: a user, or a refusal that refuses."""
        with Asking() as asking:
            pbx, line = self._attached(asking)
            for codec in ("PCMA", "PCMU"):
                for number in NUMBERS:
                    call = RecordingPBXCall(number, number[::-1], number, codec)
                    self._end(asking, call, self._take(asking, pbx, call))
            self._refuse(asking, line)

    def test_pbxTogether(self) -> None:
        """Calls at the same time know nothing of each other."""
        with Asking() as asking:
            pbx, _ = self._attached(asking)
            calls = [RecordingPBXCall() for _ in range(5)]
            users = [self._take(asking, pbx, call) for call in calls]
            for user in users:
                if user is not None:
                    asking.tellUser(user, "answered")
            for call, user in zip(calls, users, strict=True):
                self._end(asking, call, user)

    def test_pbxEndsAnywhere(self) -> None:
        """A call may end after every event, in the middle of what is played or transferred."""
        sound = AudioPacket(b"\xd5" * 160, 65535, 0xFFFFFFFF, True)
        odd = AudioPacket(b"\x00", 0, 0, False)
        events: list[tuple[object, ...]] = [
            ("answered",),
            ("packetReceived", sound),
            ("packetReceived", odd),
            ("mediaChanged",),
            *[("digitReceived", key) for key in KEYS],
        ]
        for count in range(len(events) + 1):
            with Asking() as asking:
                pbx, line = self._attached(asking)
                call = RecordingPBXCall()
                user = self._take(asking, pbx, call)
                if user is None:
                    continue
                for name, *told in events[:count]:
                    if not call.over:
                        asking.tellUser(user, str(name), *told)
                self._end(asking, call, user)
                self._refuse(asking, line)

    def test_pbxPlays(self) -> None:
        """What is played after the answer, and after each key, can be sent in either codec."""
        for codec in ("PCMA", "PCMU"):
            for key in ("", *KEYS):
                with Asking() as asking:
                    pbx, _ = self._attached(asking)
                    call = RecordingPBXCall(codec=codec)
                    user = self._take(asking, pbx, call)
                    if user is None:
                        continue
                    asking.tellUser(user, "answered")
                    if key and not call.over:
                        asking.tellUser(user, "digitReceived", key)
                    for _ in range(MOST_SOUNDS):
                        if call.media.playing:
                            call.media.finish()
                    self._end(asking, call, user)


__all__ = ["PBXConformance", "RecordingPBXCall", "RecordingPBXLine", "RecordingPBXMedia"]
