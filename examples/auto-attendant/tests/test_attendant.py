"""The attendant by itself, and in a real trunk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from skypetrunk_attendant import PAUSE, Attendant, Conversation, Settings, readSettings
from skypetrunk_attendant.sound import FRAME, frames, readWAV, writeWAV
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import CallRefused, ConfigurationError
from skypetrunk.interfaces import IPBX, ICheckedPlugin, IVendorPlugin
from skypetrunk.lab.audio import PCMA, PCMU, examine
from skypetrunk.lab.calls import Phase
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.testing import PBXConformance, RecordingPBXCall
from skypetrunk.testing.stage import TONE, Stage

NUMBER = "+442079460100"
OPERATOR = "+442079460001"

GREETING, TONE_OF_THE_CARRIER, TONE_OF_THE_PHONE = 500, 650, 1400
"""Hz."""


def greeting(seconds: float = 1.0) -> Sequence[int]:
    """A sound that is easily recognised."""
    step = 2 * math.pi * GREETING / 8000
    return [round(8000 * math.sin(step * at)) for at in range(int(8000 * seconds))]


class SoundTests(SynchronousTestCase):
    """G.711, and WAV files."""

    def test_laws(self) -> None:
        """Every sample comes back within half a step of its own, as the recommendation has them."""
        samples = range(-32768, 32768)
        for codec in (PCMA, PCMU):
            octets = b"".join(frames(samples, codec.name))
            for sample, heard in zip(samples, codec.decode(octets), strict=False):
                if abs(sample) < 32000:
                    self.assertLessEqual(abs(heard - sample), max(8, (abs(sample) + 132) // 32 + 1))

    def test_frames(self) -> None:
        """The last one is filled up."""
        for codec in (PCMA, PCMU):
            made = frames(greeting(0.03), codec.name)
            self.assertEqual([len(frame) for frame in made], [FRAME, FRAME])
            self.assertEqual(made[1][-80:], bytes([codec.silence]) * 80)

    def test_file(self) -> None:
        """What was written is read; all else is said to be wrong."""
        path = Path(self.mktemp())
        writeWAV(path, greeting())
        self.assertEqual(list(readWAV(path)), greeting())
        good = path.read_bytes()
        for content in (b"", b"RIFF", good[:44], good.replace(b"\x40\x1f", b"\x80>")):
            path.write_bytes(content)
            self.assertRaises(ValueError, readWAV, path)


def settings(**changes: object) -> Settings:
    """A short greeting, and a menu."""
    sound = {codec: frames(greeting(0.1), codec) for codec in ("PCMA", "PCMU")}
    given = {"menu": {"1": "1001", "20": TONE, "21": "404"}, "operator": OPERATOR} | changes
    return Settings(sound, **given)  # type: ignore[arg-type]


class AttendantTests(PBXConformance, SynchronousTestCase):
    """What it does, on a clock of its own."""

    def makePBX(self) -> IPBX:
        """An attendant."""
        return Attendant(Clock(), settings())

    def call(self, **changes: object) -> tuple[Clock, RecordingPBXCall, Conversation]:
        """A call that was answered, and is greeted."""
        clock, call = Clock(), RecordingPBXCall()
        user = Attendant(clock, settings(**changes)).callReceived(call)
        assert isinstance(user, Conversation)
        self.running = Deferred.fromCoroutine(user.answered())
        return clock, call, user

    def test_chooses(self) -> None:
        """While the greeting is still played: it stops, and the call is transferred at once."""
        _, call, user = self.call()
        self.assertTrue(call.media.playing)
        user.digitReceived("1")
        self.assertFalse(call.media.playing)
        self.assertEqual(call.events, [("answer",), ("transfer", "1001")])
        call.transferred()
        self.successResultOf(self.running)

    def test_severalKeys(self) -> None:
        """After the greeting, one after the other."""
        clock, call, user = self.call()
        call.media.finish()
        for key in "20":
            clock.advance(1)
            user.digitReceived(key)
        self.assertEqual(call.events[1:], [("transfer", TONE)])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_ends(self) -> None:
        """A choice ends with a pause, or with a #; what leads nowhere is asked for again, three times."""
        clock, call, user = self.call(operator=None)
        call.media.finish()
        user.digitReceived("2")
        clock.advance(PAUSE)
        self.assertTrue(call.media.playing)
        user.digitReceived("9")
        self.assertTrue(call.media.playing)
        user.digitReceived("2")
        user.digitReceived("#")
        self.successResultOf(self.running)
        self.assertEqual(call.events, [("answer",), ("hangUp",)])

    def test_silent(self) -> None:
        """Whoever presses nothing gets the operator."""
        clock, call, _ = self.call(patience=3.0)
        call.media.finish()
        clock.advance(3)
        self.assertEqual(call.events[1:], [("transfer", OPERATOR)])
        call.notTransferred(CallRefused("busy", 486))
        self.successResultOf(self.running)
        self.assertEqual(call.events[-1], ("hangUp",))

    def test_busy(self) -> None:
        """Where nobody answers the caller may choose again."""
        _, call, user = self.call()
        user.digitReceived("1")
        call.notTransferred(CallRefused("busy", 486))
        self.assertTrue(call.media.playing)
        user.digitReceived("2")
        user.digitReceived("0")
        self.assertEqual(call.events[1:], [("transfer", "1001"), ("transfer", TONE)])

    def test_gone(self) -> None:
        """The caller hangs up at any point: nothing more is done."""
        for steps in range(4):
            clock, call, user = self.call()
            if steps == 1:
                call.media.finish()
            elif steps > 1:
                user.digitReceived("2" if steps == 2 else "1")
            events = list(call.events)
            user.ended("the other side hung up")
            call.end()
            self.successResultOf(self.running)
            self.assertEqual((call.events, clock.getDelayedCalls()), (events, []), steps)

    def test_settings(self) -> None:
        """Right ones, and every mistake at once."""
        directory = Path(self.mktemp())
        directory.mkdir()
        writeWAV(directory / "greeting.wav", greeting())
        good = {"greeting": "greeting.wav", "menu": {"1": "1001"}}
        read = readSettings(good, directory)
        self.assertEqual((read.menu, read.operator, read.patience), ({"1": "1001"}, None, 5))
        self.assertEqual([len(read.greeting[codec]) for codec in ("PCMA", "PCMU")], [50, 50])
        bad = {"menu": {"x": "1", "2": 3}, "operator": 1, "patience": 0, "y": 1}
        for wrong, count in (({}, 2), (bad | {"greeting": "nowhere.wav"}, 6)):
            with self.assertRaises(ConfigurationError) as caught:
                readSettings(wrong, directory)
            self.assertEqual(len(caught.exception.problems), count, caught.exception.problems)

    def test_check(self) -> None:
        """C{skypetrunk check} asks the plugin, which makes nothing for it."""
        [plugin] = [each for each in getPlugins(IVendorPlugin) if each.name == "auto-attendant"]
        self.assertTrue(verifyObject(ICheckedPlugin, plugin))
        directory = Path(self.mktemp())
        directory.mkdir()
        writeWAV(directory / "greeting.wav", greeting())
        plugin.check({"greeting": "greeting.wav", "menu": {"1": "1001"}}, directory)
        self.assertRaises(ConfigurationError, plugin.check, {"x": 1}, directory)


class TrunkTests(TestCase):
    """Found by the trunk, and called by the practice carrier."""

    timeout = 60

    async def stage(self) -> Stage:
        """A trunk with the attendant."""
        from twisted.internet import reactor

        lines = [
            '[[pbx]]\nname = "attendant"\nplugin = "auto-attendant"',
            '[[plugin]]\nname = "auto-attendant"',
            f'settings = {{ greeting = "hello.wav", menu = {{ 1 = "{TONE}", 2 = "1001", 3 = "999" }} }}',
            f'[[route]]\nfrom = "carrier"\nto = ["attendant"]\ncalled = ["{NUMBER}"]',
            '[[route]]\nfrom = "carrier"\nto = ["office"]\n[[route]]\nfrom = "office"\nto = ["carrier"]',
            '[[route]]\nfrom = "attendant"\nto = ["office"]\ncalled = ["1001"]',
            '[[route]]\nfrom = "attendant"\nto = ["carrier"]',
        ]
        stage = Stage(reactor, lines)
        self.addCleanup(stage.close)
        writeWAV(stage.directory / "hello.wav", greeting(3))
        await stage.start()
        return stage

    async def greeted(self, stage: Stage) -> OutgoingCall:
        """A call of the carrier that hears the greeting, over SRTP."""
        call = await stage.callIn(NUMBER)
        self.assertIs(call.phase, Phase.ANSWERED)
        await self.hears(stage, call, GREETING)
        return call

    async def hears(self, stage: Stage, call: OutgoingCall, frequency: int) -> None:
        """Wait until the carrier hears this for half a second."""
        assert call.session is not None
        session = call.session

        def heard() -> bool:
            return examine(session.recording()[-4800:], frequency).right >= 25

        await stage.until(heard, f"{frequency} Hz")

    async def test_transfer(self) -> None:
        """To a number of the carrier, and to a phone of the office; the attendant is out of it then."""
        for key, frequency in (("1", TONE_OF_THE_CARRIER), ("2", TONE_OF_THE_PHONE)):
            stage = await self.stage()
            call = await self.greeted(stage)
            assert call.session is not None
            call.session.press(key)
            await self.hears(stage, call, frequency)
            status = stage.trunk.pbxes["attendant"].status()
            self.assertEqual(status["calls"], 0)
            self.assertIs(call.phase, Phase.ANSWERED)
            call.hangUp()
            await stage.idle()
            await stage.close()

    async def test_emergency(self) -> None:
        """Not even the menu can send an emergency call to a trunk: the caller is greeted again."""
        stage = await self.stage()
        call = await self.greeted(stage)
        assert call.session is not None
        call.session.press("3")
        await stage.until(lambda: stage.trunk.manager.emergencies, "refused")
        await self.hears(stage, call, GREETING)
        call.hangUp()
        await stage.idle()
