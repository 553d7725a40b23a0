"""The recorder by itself, and in a real trunk."""

from __future__ import annotations

import os
import stat
import wave
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from skypetrunk_recorder import CallRecorder, Recording, StereoFile, readSettings
from skypetrunk_recorder.track import Track
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import (
    CallRequest,
    ICheckedPlugin,
    IMediaTap,
    IMediaTaps,
    IVendorPlugin,
    TappedPacket,
)
from skypetrunk.lab.audio import PCMA, PCMU, examine
from skypetrunk.lab.calls import Phase
from skypetrunk.testing import TapsConformance
from skypetrunk.testing.stage import NUMBER, TONE, Stage

PHONE_CALLS, PHONE_ANSWERS, CARRIER_CALLS, CARRIER_ANSWERS = 400, 1400, 950, 650
"""Hz."""


def read(path: Path) -> tuple[Sequence[int], Sequence[int]]:
    """Both channels of a file."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        frames = array("h", file.readframes(file.getnframes()))
    return frames[::2], frames[1::2]


def rtp(timestamp: int, payload: bytes, payloadType: int = 8, ssrc: int = 7) -> bytes:
    """A packet; its sequence number matters to nobody here."""
    numbers = timestamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
    return bytes((0x80, payloadType, 0, 1)) + numbers + payload


def sound(octet: int, count: int = 160) -> bytes:
    """A packet's worth of one sample."""
    return bytes([octet]) * count


class CallRecorderTests(TapsConformance, TestCase):
    """L{CallRecorder}."""

    def makeTaps(self) -> IMediaTaps:
        """Of all calls; the test ends when their files are written."""
        from twisted.internet import reactor

        directory = Path(self.mktemp())
        directory.mkdir()
        recorder = CallRecorder(reactor, directory)
        self.addCleanup(recorder.stopService)
        return recorder


class TrackTests(SynchronousTestCase):
    """L{Track}."""

    def heard(self, track: Track, end: int) -> list[int]:
        """What was taken, as numbers of the octets of A-law; 0 is silence."""
        loud = {sample: octet for octet, sample in enumerate(PCMA.decode(bytes(range(256))))}
        return [loud.get(sample, 0) for sample in track.take(end)[::160]]

    def test_laws(self) -> None:
        """Each octet is what the practice carrier reads in it."""
        for codec in (PCMA, PCMU):
            track = Track()
            track.put(rtp(0, bytes(range(256)), codec.payloadType), 0)
            self.assertEqual(track.take(256), codec.decode(bytes(range(256))))

    def test_places(self) -> None:
        """Loss is silence, the late take their place, the doubled take none; time stamps wrap."""
        track, first = Track(), 0xFFFFFFFF - 159
        for number in (0, 1, 4, 3, 4):
            track.put(rtp((first + 160 * number) % 2**32, sound(number + 1)), 160 * number)
        self.assertEqual(self.heard(track, 1120), [1, 2, 0, 4, 5, 0, 0])

    def test_tooLate(self) -> None:
        """What was written is left alone."""
        track = Track()
        track.put(rtp(0, sound(1, 320)), 0)
        track.take(480)
        track.put(rtp(160, sound(2)), 480)
        track.put(rtp(400, sound(3)), 480)
        self.assertEqual(list(track.take(640)), [*PCMA.decode(sound(3, 80)), *[0] * 80])

    def test_newSource(self) -> None:
        """Another source, or a jump of the same one: its sound is where it came in."""
        for ssrc, timestamp in ((7, 0x90000000), (8, 160)):
            track = Track()
            track.put(rtp(0, sound(1)), 0)
            track.put(rtp(timestamp, sound(2), ssrc=ssrc), 480)
            self.assertEqual(self.heard(track, 640), [1, 0, 0, 2])

    def test_inStep(self) -> None:
        """
        Its place is when it was sent: also where the first packet is late, time stamps stand still in a
        pause, or its clock is slow or fast.
        """

        def late(number: int) -> float:
            return max(0, 15 - number)

        def stall(number: int) -> float:
            return max(0, 115 - number) if number >= 100 else 0

        for name, came, stamps in (
            ("late", late, lambda number: number),
            ("stalled", stall, lambda number: number),
            ("stands still", lambda number: 30 * (number >= 100), lambda number: number),
            ("jumps on", lambda number: 0, lambda number: number + 15 * (number >= 100)),
            ("jumps back", lambda number: 0, lambda number: number - 15 * (number >= 100)),
            ("slow", lambda number: 0, lambda number: number * 0.999),
            ("fast", lambda number: 0, lambda number: number * 1.001),
        ):
            track = Track()
            for number in range(3000):
                packet = rtp(int(160 * stamps(number)), sound(1 + number % 100))
                track.put(packet, 8000 + int(160 * (number + came(number))))
            sent = 8000 + 160 * (2999 + (30 if name == "stands still" else 0))
            last = track.take(track.end).index(PCMA.decode(sound(100, 1))[0], sent - 800)
            self.assertLessEqual(abs(last - sent), 160, name)

    def test_burstKept(self) -> None:
        """Of packets that were late and come all at once none is lost, where there was silence before."""
        track = Track()
        for number in range(20):
            track.put(rtp(160 * number, sound(number + 1)), 8000 + 160 * max(number, 15))
        self.assertEqual([octet for octet in self.heard(track, track.end) if octet], [*range(1, 21)])

    def test_others(self) -> None:
        """Other codecs are counted; padding, extensions and empty packets are no sound."""
        track = Track()
        track.put(rtp(0, b"\1\2\3", 96), 0)
        track.put(rtp(0, b""), 0)
        self.assertEqual((track.others, track.end), (1, 0))
        padded = bytearray(rtp(0, sound(1) + b"\0\2"))
        padded[0] |= 0x20
        track.put(bytes(padded), 0)
        self.assertEqual(track.end, 160)


class RecordingTests(SynchronousTestCase):
    """L{Recording}, with a thread that is this one."""

    def recording(self) -> tuple[Recording, Path]:
        """One, and where it writes."""
        path = Path(self.mktemp())

        def inThread(call: Callable[..., None], *arguments: object) -> Deferred[None]:
            return maybeDeferred(call, *arguments)

        return Recording("c1", path, inThread), path

    def say(self, recording: Recording, fromCaller: bool, seconds: float, begin: float = 0.0) -> None:
        """Fifty packets in a second, of a tone for each side."""
        octet = 1 if fromCaller else 2
        for number in range(int(seconds * 50)):
            time = 1000.0 + begin + number / 50
            packet = rtp(int(begin * 8000) + 160 * number, sound(octet), ssrc=octet)
            recording.packetReceived(TappedPacket(packet, fromCaller, time))

    def test_sides(self) -> None:
        """The caller is on the left; who comes later is found later.  Only the owner reads it."""
        recording, path = self.recording()
        self.say(recording, True, 1)
        self.say(recording, False, 1, begin=0.5)
        recording.ended()
        self.successResultOf(recording.closed)
        left, right = read(path)
        self.assertEqual((len(left), len(right)), (12000, 12000))
        one, two = PCMA.decode(b"\1\2")
        self.assertEqual([left[0], left[7999], left[8000]], [one, one, 0])
        self.assertEqual([right[0], right[3999], right[4000], right[11999]], [0, 0, two, two])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_written(self) -> None:
        """A long one is on disk, whole, before it ends."""
        recording, path = self.recording()
        self.say(recording, True, 20)
        self.assertGreaterEqual(len(read(path)[0]), 10 * 8000)
        recording.ended()
        left, right = read(path)
        self.assertEqual((set(left), set(right)), ({PCMA.decode(b"\1")[0]}, {0}))
        self.assertEqual(len(left), 20 * 8000)

    def test_longSilence(self) -> None:
        """Minutes in which nothing of G.711 comes, as on hold, are kept by nobody; then it goes on."""
        recording, path = self.recording()
        sizes: list[int] = []
        write = recording._file.write

        def counted(left: array[int], right: array[int]) -> None:
            sizes.append(len(left))
            write(left, right)

        recording._file.write = counted  # type: ignore[method-assign]
        self.say(recording, True, 1)
        recording.packetReceived(TappedPacket(rtp(0, b"\1", 96), False, 1300.0))
        self.say(recording, False, 1, begin=600)
        recording.ended()
        self.assertLess(max(sizes), 10 * 8000)
        left, right = read(path)
        self.assertEqual((len(left), len(right)), (601 * 8000, 601 * 8000))
        self.assertEqual((set(left[8000:]), set(right[: 600 * 8000])), ({0}, {0}))
        self.assertEqual(set(right[600 * 8000 :]), {PCMA.decode(b"\2")[0]})

    def test_lateSound(self) -> None:
        """A call that had another codec for long is recorded from its first sound on, in small pieces."""
        recording, path = self.recording()
        recording.packetReceived(TappedPacket(rtp(0, b"\1", 96), True, 1000.0))
        self.say(recording, False, 1, begin=3600)
        recording.ended()
        left, right = read(path)
        self.assertEqual((set(left), set(right)), ({0}, {PCMA.decode(b"\2")[0]}))
        self.assertEqual(len(right), 8000)

    def test_slowDisk(self) -> None:
        """A disk that takes nothing more ends the recording, and not the memory; what is written stays."""
        waiting: Deferred[None] = Deferred()
        recording = Recording("c1", Path(self.mktemp()), lambda call, *arguments: waiting)
        self.say(recording, True, 300)
        self.assertTrue(recording._broken)
        self.assertLess(recording._waiting, 30)
        waiting.callback(None)
        recording.ended()
        self.successResultOf(recording.closed)

    def test_nothing(self) -> None:
        """Without sound there is no file, and the log says how many packets were of other codecs."""
        recording, path = self.recording()
        recording.packetReceived(TappedPacket(rtp(0, b"\1", 96), True, 1000.0))
        recording.ended()
        self.successResultOf(recording.closed)
        self.assertFalse(path.exists())

    def test_fails(self) -> None:
        """A file that is there is not written over; it is logged once, and the recording ends."""
        recording, path = self.recording()
        path.write_bytes(b"another")
        self.say(recording, True, 20)
        recording.ended()
        self.successResultOf(recording.closed)
        self.assertEqual(path.read_bytes(), b"another")
        self.assertEqual(len(self.flushLoggedErrors(FileExistsError)), 1)

    def test_file(self) -> None:
        """Closed without a sound."""
        StereoFile(Path(self.mktemp())).close()

    def test_interfaces(self) -> None:
        """They provide what they say; only the sources named are recorded."""
        recorder = CallRecorder(None, Path(self.mktemp()), ["office"])
        self.assertTrue(verifyObject(IMediaTaps, recorder))
        tap = recorder.tap(CallRequest("c1", "1001", TONE, "office", ("carrier",)))
        assert tap is not None
        self.assertTrue(verifyObject(IMediaTap, tap))
        self.assertIsNone(recorder.tap(CallRequest("c1", TONE, "1001", "carrier", ("office",))))

    def test_settings(self) -> None:
        """Right ones, and every mistake at once."""
        directory = Path(self.mktemp())
        (directory / "calls").mkdir(parents=True)
        self.assertEqual(readSettings({"directory": "calls"}, directory), (directory / "calls", None))
        found = readSettings({"directory": "calls", "sources": ["office"]}, directory)
        self.assertEqual(found, (directory / "calls", ["office"]))
        bad = {"directory": "nowhere", "sources": "office", "x": 1}
        for wrong, count in (({}, 1), (bad, 3), ({"directory": "calls", "sources": []}, 1)):
            with self.assertRaises(ConfigurationError) as caught:
                readSettings(wrong, directory)
            self.assertEqual(len(caught.exception.problems), count, caught.exception.problems)

    def test_check(self) -> None:
        """C{skypetrunk check} asks the plugin, which makes nothing for it."""
        [plugin] = [each for each in getPlugins(IVendorPlugin) if each.name == "call-recorder"]
        self.assertTrue(verifyObject(ICheckedPlugin, plugin))
        directory = Path(self.mktemp())
        directory.mkdir()
        plugin.check({"directory": "."}, directory)
        self.assertRaises(ConfigurationError, plugin.check, {"x": 1}, directory)


class TrunkTests(TestCase):
    """Found by the trunk."""

    timeout = 60

    async def stage(self, settings: str = "") -> tuple[Stage, Path]:
        """A trunk with the recorder, and where it writes."""
        from twisted.internet import reactor

        lines = ['[[plugin]]\nname = "call-recorder"', f'settings = {{ directory = "calls"{settings} }}']
        stage = Stage(reactor, lines)
        self.addCleanup(stage.close)
        (stage.directory / "calls").mkdir()
        await stage.start()
        return stage, stage.directory / "calls"

    async def test_recorded(self) -> None:
        """Calls in both directions: each side is heard in its own channel, and in no other."""
        stage, directory = await self.stage()
        ways = (
            (stage.dial, TONE, PHONE_CALLS, CARRIER_ANSWERS),
            (stage.ring, NUMBER, CARRIER_CALLS, PHONE_ANSWERS),
        )
        for place, number, caller, called in ways:
            before = set(directory.iterdir())
            call = await place(number)
            self.assertIs(call.phase, Phase.ANSWERED)
            session = call.session
            assert session is not None
            await stage.until(lambda got=session.recording: len(got()) > 8000, "a second of sound")
            call.hangUp()
            await stage.idle()
            await stage.until(lambda known=before: set(directory.iterdir()) - known, "a file")
            (path,) = set(directory.iterdir()) - before
            await stage.until(lambda file=path: os.path.getsize(file) > 44 + 4 * 8000, "it is written")
            left, right = read(path)
            for channel, own, foreign in ((left, caller, called), (right, called, caller)):
                heard = examine(channel, own, [foreign])
                self.assertGreaterEqual(heard.right, 40)
                # A frame in which a tone begins or ends has a bit of every frequency.
                self.assertLessEqual(heard.foreign, 2)

    async def test_stop(self) -> None:
        """A trunk that stops in the middle of a call waits for its file."""
        stage, directory = await self.stage()
        call = await stage.dial()
        session = call.session
        assert session is not None
        await stage.until(lambda: len(session.recording()) > 8000, "a second of sound")
        await stage.stopTrunk()
        (path,) = directory.iterdir()
        left, _ = read(path)
        self.assertGreaterEqual(examine(left, PHONE_CALLS).right, 40)

    async def test_notRecorded(self) -> None:
        """Calls of another source leave nothing."""
        stage, directory = await self.stage(', sources = ["carrier"]')
        call = await stage.dial()
        self.assertIs(call.phase, Phase.ANSWERED)
        call.hangUp()
        await stage.idle()
        await stage.stopTrunk()
        self.assertEqual(list(directory.iterdir()), [])
