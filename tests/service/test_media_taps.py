"""Plugins that listen to calls: who is asked, who is told, what one that fails leaves alone; a real trunk."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel
from zope.interface import implementer

from skypetrunk.interfaces import CallEnded, CallRequest, IMediaTap, IMediaTaps, TappedPacket
from skypetrunk.lab.audio import PCMA, PCMU, examine
from skypetrunk.lab.calls import Phase
from skypetrunk.lab.outgoing import OutgoingCall
from skypetrunk.service.media_taps import MediaTaps
from skypetrunk.testing.stage import BUSY, TONE, Stage
from skypetrunk.wire.rtp import parseRTP
from tests.service.scene import SceneCase
from tests.service.test_vendors import Boom, VendorCase
from twisted import plugins as dropins

_REQUEST = CallRequest("c1", "201", "02079460018", "office", ("carrier",))
_ENDED = CallEnded("c1", "normal", None, "caller", 3.0)


@implementer(IMediaTap)
class Ear:
    """
    Keeps what it is told.

    @ivar fails: the place of the packet that it cannot bear, or C{-1}.
    """

    def __init__(self, request: CallRequest, fails: int = -1) -> None:
        self.request = request
        self.fails = fails
        self.packets: list[TappedPacket] = []
        self.endings = 0

    def packetReceived(self, packet: TappedPacket) -> None:
        """Keep it."""
        self.packets.append(packet)
        if len(self.packets) - 1 == self.fails:
            raise Boom if self.fails else SystemExit

    def ended(self) -> None:
        """Count."""
        self.endings += 1
        if self.fails == 0:
            raise Boom

    def sound(self, fromCaller: bool) -> array[int]:
        """What one side said."""
        heard = array("h")
        for packet in self.packets:
            header = parseRTP(packet.data)
            codec = {0: PCMU, 8: PCMA}.get(header.payloadType)
            if codec is not None and packet.fromCaller is fromCaller:
                heard.extend(codec.decode(packet.data[header.headerLength :]))
        return heard


@implementer(IMediaTaps)
class Ears:
    """
    Listens to calls as its settings say.

    @cvar made: the last one.
    """

    made: Ears

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._settings = settings
        self.asked = 0
        self.ears: list[Ear] = []
        Ears.made = self

    def tap(self, request: CallRequest) -> IMediaTap | None:
        """An ear, nobody, or a mistake."""
        self.asked += 1
        if "raises" in self._settings:
            raise Boom
        if "nobody" in self._settings:
            return None
        if "wrong" in self._settings:
            return "an ear"  # type: ignore[return-value]
        self.ears.append(Ear(request, int(str(self._settings.get("fails", -1)))))
        return self.ears[-1]


class MediaTapsTests(VendorCase):
    """L{MediaTaps}."""

    def begun(self, **plugins: Ears) -> MediaTaps:
        """With one call."""
        taps = MediaTaps(plugins)
        taps.callStarted(_REQUEST)
        return taps

    def test_told(self) -> None:
        """Each plugin is asked once, and its tap told of packets and end."""
        one, other = Ears({}), Ears({})
        taps = self.begun(one=one, other=other)
        shown = taps.find("c1")
        assert shown is not None
        self.assertTrue(shown[0](b"a", 1.0))
        self.assertTrue(shown[1](b"b", 1.5))
        taps.callAnswered("c1")
        taps.callEnded(_ENDED, ())
        taps.callEnded(_ENDED, ())
        for (ear,) in (one.ears, other.ears):
            self.assertEqual(ear.request, _REQUEST)
            self.assertEqual(ear.packets, [TappedPacket(b"a", True, 1.0), TappedPacket(b"b", False, 1.5)])
            self.assertEqual(ear.endings, 1)
        self.assertIsNone(taps.find("c1"))
        self.assertFalse(shown[0](b"late", 2.0))
        self.assertEqual((len(one.ears[0].packets), self.failures()), (2, []))

    def test_nobody(self) -> None:
        """Who wants no tap, fails or answers what is none has none; only a mistake is logged."""
        problem = "c1: the plugin acme failed as a tap, at the beginning"
        for kind, problems in (("nobody", []), ("raises", [problem]), ("wrong", [problem])):
            taps = self.begun(acme=Ears({kind: True}))
            self.assertIsNone(taps.find("c1"))
            taps.callEnded(_ENDED, ())
            self.assertEqual(self.failures(), problems)
        self.assertIsNone(MediaTaps({}).find("c1"))

    def test_fails(self) -> None:
        """One that raises is logged once, and gets no more packets; the other does.  Both have an end."""
        bad, good = Ears({"fails": 1}), Ears({})
        taps = self.begun(bad=bad, good=good)
        shown = taps.find("c1")
        assert shown is not None
        for number in range(4):
            self.assertTrue(shown[number % 2](b"p", float(number)))
        problem = "c1: the plugin bad failed as a tap, and hears no more of the call"
        self.assertEqual(self.failures(), [problem])
        taps.callEnded(_ENDED, ())
        self.assertEqual([len(each.ears[0].packets) for each in (bad, good)], [2, 4])
        self.assertEqual([each.ears[0].endings for each in (bad, good)], [1, 1])

    def test_allFail(self) -> None:
        """When the last has failed nothing more is wanted; a failure at the end is logged as well."""
        taps = self.begun(bad=Ears({"fails": 0}))
        shown = taps.find("c1")
        assert shown is not None
        self.assertFalse(shown[0](b"p", 1.0))
        taps.callEnded(_ENDED, ())
        self.assertEqual(len(self.failures()), 2)


_DROPIN = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from skypetrunk.interfaces import IVendorPlugin

@implementer(IPlugin, IVendorPlugin)
class Maker:
    name = "ears"
    def create(self, reactor, settings, directory):
        from tests.service.test_media_taps import Ears
        return Ears(settings)

maker = Maker()
"""


class TappedCallTests(SceneCase):
    """Calls of a trunk with a plugin that listens."""

    async def stage(self, settings: str = "{}") -> Stage:
        """A trunk with the plugin."""
        directory = Path(self.mktemp()) / "twisted" / "plugins"
        directory.mkdir(parents=True)
        (directory / "media_taps_dropin.py").write_text(_DROPIN)
        self.patch(dropins, "__path__", [*dropins.__path__, str(directory.resolve())])
        stage = Stage(self.reactor, ["[[plugin]]", 'name = "ears"', f"settings = {settings}"])
        self.addCleanup(stage.close)
        await stage.start()
        return stage

    async def spoken(self, stage: Stage, call: OutgoingCall) -> None:
        """Wait until who called has heard a second, and hang up."""
        self.assertIs(call.phase, Phase.ANSWERED)
        session = call.session
        assert session is not None
        await stage.until(lambda: len(session.recording()) > 8000, "a second of sound")
        call.hangUp()
        await stage.idle()

    async def test_heard(self) -> None:
        """Out and in: what each side says is told as its own, decrypted, and the end once."""
        stage = await self.stage()
        for place, caller, called in ((stage.dial, 400, 650), (stage.ring, 950, 1400)):
            await self.spoken(stage, await place())
            ear = Ears.made.ears[-1]
            for fromCaller, own, foreign in ((True, caller, called), (False, called, caller)):
                heard = examine(ear.sound(fromCaller), own, [foreign])
                self.assertGreaterEqual(heard.right, 40, own)
                self.assertEqual(heard.foreign, 0)
            self.assertEqual(ear.endings, 1)
            self.assertEqual([packet.time for packet in ear.packets], sorted(p.time for p in ear.packets))
        self.assertEqual([ear.request.source for ear in Ears.made.ears], ["office", "carrier"])

    async def test_notAnswered(self) -> None:
        """A call that comes to nothing has its end, too."""
        stage = await self.stage()
        self.assertEqual((await stage.dial(BUSY)).status, 486)
        await stage.idle()
        (ear,) = Ears.made.ears
        self.assertEqual((ear.request.called, ear.endings), (BUSY, 1))

    async def test_fails(self) -> None:
        """A tap that raises in the middle: one line in the log, and the call is heard to its end."""
        stage = await self.stage("{ fails = 10 }")
        call = await stage.dial(TONE)
        await self.spoken(stage, call)
        assert call.session is not None
        self.assertGreaterEqual(examine(call.session.recording(), 650).right, 45)
        self.assertLogged("the plugin ears failed as a tap, and hears no more", level=LogLevel.critical)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        (ear,) = Ears.made.ears
        self.assertEqual((len(ear.packets), ear.endings), (11, 1))

    async def test_nobody(self) -> None:
        """A plugin that does not want a call: asked once, and the legs are joined as without it."""
        stage = await self.stage("{ nobody = true }")
        legs: list[Any] = []
        join = stage.trunk.plane.join

        def joined(caller: Any, called: Any, call: str) -> None:
            join(caller, called, call)
            legs.extend((caller, called))

        self.patch(stage.trunk.plane, "join", joined)
        call = await stage.dial()
        near, far = legs
        self.assertEqual((near._onward, far._onward, Ears.made.asked), (far, near, 1))
        await self.spoken(stage, call)
