"""A PBX in this process: its configuration, and its calls in a real trunk with the practice carrier."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel
from zope.interface import implementer

from skypetrunk.errors import EmergencyRefused
from skypetrunk.interfaces import IPBX, IPBXCall, IPBXCallUser, IPBXLine
from skypetrunk.lab.audio import PCMA, Tone, examine
from skypetrunk.lab.calls import Phase
from skypetrunk.service.settings import Limits
from skypetrunk.testing.stage import TONE, Stage
from skypetrunk.tools.check import summary as checked
from skypetrunk.tools.status import summary
from tests.pbx.linenet import Boom, User
from tests.service.configurations import COMPLETE, ConfigurationTestCase
from tests.service.scene import SceneCase
from twisted import plugins as dropins

NUMBER = "+442079460100"

_DROPIN = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from skypetrunk.interfaces import IVendorPlugin

@implementer(IPlugin, IVendorPlugin)
class Maker:
    name = "acme"
    def create(self, reactor, settings, directory):
        from tests.service.test_in_process import Acme
        return Acme(settings)

maker = Maker()
"""

_LINES = """
[[pbx]]
name = "attendant"
plugin = "acme"
[pbx.limits]
calls = 2
[[plugin]]
name = "acme"
settings = {settings}
[[route]]
from = "attendant"
to = ["office"]
called = ["1001"]
[[route]]
from = "attendant"
to = ["carrier"]
[[route]]
from = "office"
to = ["attendant"]
called = ["{number}"]
[[route]]
from = "office"
to = ["carrier"]
[[route]]
from = "carrier"
to = ["attendant"]
called = ["{number}"]
[[route]]
from = "carrier"
to = ["office"]
"""


@implementer(IPBX)
class Acme:
    """
    Answers, and plays a tone for a second; fails where its settings say so.

    @cvar made: the last one.
    """

    made: Acme
    line: IPBXLine

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._fails = settings.get("fails")
        self.calls: list[IPBXCall] = []
        self.users: list[User] = []
        Acme.made = self

    def attached(self, line: IPBXLine) -> None:
        """Keep it."""
        self.line = line

    def callReceived(self, call: IPBXCall) -> IPBXCallUser:
        """Answer at once."""
        if self._fails == "call":
            raise Boom
        user = User()
        user.on["answered"] = lambda: self._answered(call)
        self.calls.append(call)
        self.users.append(user)
        call.answer()
        return user

    def _answered(self, call: IPBXCall) -> None:
        if self._fails == "answered":
            raise Boom
        call.media.play([Tone(600).frame(PCMA)] * 50)


class InProcessTests(SceneCase):
    """Calls of a trunk with such a PBX."""

    async def stage(self, settings: str = "{}") -> Stage:
        """A trunk with the plugin, beside the phone."""
        directory = Path(self.mktemp()) / "twisted" / "plugins"
        directory.mkdir(parents=True)
        (directory / "in_process_dropin.py").write_text(_DROPIN)
        self.patch(dropins, "__path__", [*dropins.__path__, str(directory.resolve())])
        stage = Stage(self.reactor, [_LINES.format(settings=settings, number=NUMBER)])
        self.addCleanup(stage.close)
        await stage.start()
        return stage

    async def over(self, stage: Stage) -> None:
        """Nothing is left."""
        await stage.idle()
        status: Any = stage.trunk.status()
        self.assertEqual((status["dialogs"], status["mediaPorts"]), (0, 0))
        self.assertEqual(status["pbxes"]["attendant"]["calls"], 0)

    async def test_callIn(self) -> None:
        """The carrier hears the tone over SRTP, the vendor hears the carrier and reads its keys."""
        stage = await self.stage()
        far = await stage.callIn(NUMBER)
        self.assertIs(far.phase, Phase.ANSWERED)
        assert far.session is not None
        session = far.session
        await stage.until(lambda: len(session.recording()) >= 7200, "sound")
        self.assertTrue(examine(session.recording()[:6400], 600).recognised)
        for key in "42#":
            session.press(key)
        self.assertRaises(ValueError, session.press, "x")
        user, call = Acme.made.users[0], Acme.made.calls[0]
        await stage.until(lambda: "key #" in user.events, "the last key")
        self.assertEqual(
            [each for each in user.events if str(each).startswith("key")], ["key 4", "key 2", "key #"]
        )
        heard = PCMA.decode(b"".join(each for each in user.events if isinstance(each, bytes)))
        self.assertTrue(examine(heard, 950).recognised)
        self.assertEqual((call.caller, call.called), ("+493012345678", NUMBER))
        lines = list(summary(stage.trunk.status()))
        self.assertIn("pbx attendant: in this process, plugin acme; 1 calls", lines)
        call.hangUp()
        await far.when(Phase.ENDED)
        self.assertEqual(user.events[-1], ("ended", "hung up"))
        await self.over(stage)
        statistics: Any = stage.trunk.book.ended[-1]["media"]
        self.assertGreater(sum(leg["received"]["authenticated"] for leg in statistics), 25)

    async def test_callOut(self) -> None:
        """A call of the vendor takes its route; when the trunk stops its user is told."""
        stage = await self.stage()
        user = User()
        call = Acme.made.line.placeCall(TONE, "1001", user)
        await stage.until(lambda: "answered" in user.events, "answered")
        await stage.until(lambda: sum(isinstance(each, bytes) for each in user.events) > 10, "sound")
        self.assertTrue(call.media.sending)
        await stage.stopTrunk()
        self.assertEqual(user.events[-1], ("ended", "hung up"))

    async def test_phone(self) -> None:
        """The phone calls it, and it the phone: plain RTP from end to end, and nothing at the trunk."""
        stage = await self.stage()
        near = await stage.dial(NUMBER)
        self.assertIs(near.phase, Phase.ANSWERED)
        assert near.session is not None
        session = near.session
        await stage.until(lambda: len(session.recording()) >= 7200, "sound")
        self.assertTrue(examine(session.recording()[:6400], 600).recognised)
        session.press("5")
        await stage.until(lambda: "key 5" in Acme.made.users[0].events, "the key")
        near.hangUp()
        await self.over(stage)
        user = User()
        Acme.made.line.placeCall("1001", "1000", user)
        await stage.until(lambda: sum(isinstance(each, bytes) for each in user.events) > 10, "sound")
        status: Any = stage.trunk.status()
        self.assertEqual(status["trunks"]["carrier"]["calls"], 0)

    async def test_emergency(self) -> None:
        """999 in Great Britain; counted as that of any PBX."""
        stage = await self.stage()
        for number, form in enumerate(("999", "tel:+44999", "sip:112@example.org", "urn:service:sos"), 1):
            user = User()
            Acme.made.line.placeCall(form, "1001", user)
            await stage.until(partial(getattr, user, "refusal"), "refused")
            self.assertEqual(user.events, [("refused", 503)])
            self.assertIsInstance(user.refusal, EmergencyRefused)
            self.assertEqual(stage.trunk.manager.emergencies, number)
        await self.over(stage)

    async def test_limits(self) -> None:
        """Its limits hold, and only for it: the third call at a time is refused."""
        stage = await self.stage()
        users = [User(), User(), User()]
        for user in users:
            Acme.made.line.placeCall(TONE, "1001", user)
        await stage.until(lambda: users[2].events and "answered" in users[1].events, "two and a refusal")
        self.assertEqual(users[2].events, [("refused", 503)])
        self.assertIs((await stage.dial()).phase, Phase.ANSWERED)
        self.assertIn("1 refused (calls)", "\n".join(summary(stage.trunk.status())))

    async def test_fails(self) -> None:
        """A call that the vendor cannot take is refused, one that it fails in ends; the phone's goes on."""
        for fails, what in (("call", "callReceived"), ("answered", "answered")):
            stage = await self.stage(f'{{ fails = "{fails}" }}')
            call = await stage.dial()
            far = await stage.callIn(NUMBER)
            await far.when(Phase.ENDED)
            self.assertEqual(far.status, 500 if what == "callReceived" else 200)
            self.assertLogged("the plugin acme failed as a PBX", what, level=LogLevel.critical)
            self.assertIs(call.phase, Phase.ANSWERED)
            call.hangUp()
            await self.over(stage)
            await stage.close()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)


class ConfigurationTests(ConfigurationTestCase):
    """C{[[pbx]]} with C{plugin}."""

    text = COMPLETE + (
        '[[pbx]]\nname = "attendant"\nplugin = "acme"\nnumber_form = "plus"\n[pbx.limits]\ncalls = 4\n'
        '[[route]]\nfrom = "attendant"\nto = ["skype"]\n[[plugin]]\nname = "acme"\n'
    ).replace('to = ["office"]', 'to = ["office", "attendant"]')

    def test_read(self) -> None:
        """Name, plugin, number form and limits; check says what it is."""
        configuration, warnings = self.load(self.text)
        pbx = configuration.pbxes[1]
        self.assertEqual((pbx.plugin, pbx.listen, pbx.addresses, pbx.allow), ("acme", (), (), ()))
        self.assertEqual((pbx.numberForm, pbx.limits), ("plus", Limits(4)))
        self.assertEqual(len(warnings), 1)
        self.assertIn("pbx.attendant: no route leads here", warnings[0])
        line = "pbx attendant: lives in this process, as the plugin acme; at most 4 calls"
        self.assertIn(line, list(checked(configuration)))

    def test_mixed(self) -> None:
        """What only a PBX with SIP has is a mistake beside it, each on its own line and once."""
        keys = 'listen = ["udp:127.0.0.1:5080"]\naddress = "udp:127.0.0.1:5090"\nregister = true\n'
        self.assertEqual(
            self.problems(self.text.replace('plugin = "acme"\n', 'plugin = "acme"\n' + keys)),
            [
                f"pbx.attendant.{key}: stands beside plugin; would be right:"
                " one of them: a PBX in this process has no SIP"
                for key in ("listen", "address", "register")
            ],
        )

    def test_unknown(self) -> None:
        """A plugin that is not there, and one that is two PBXes."""
        self.assertEqual(
            self.problems(self.text.replace('plugin = "acme"', 'plugin = "acne"')),
            ['pbx.attendant.plugin: there is no plugin "acne"; did you mean "acme"?'],
        )
        second = '[[pbx]]\nname = "second"\nplugin = "acme"\n'
        self.assertIn(
            'pbx.second.plugin: "acme" is pbx.attendant already; would be right: one pbx for each',
            self.problems(self.text + second),
        )

    def test_ports(self) -> None:
        """Two ports more for each call."""
        text = self.text.replace("20000-29999", "20000-20119")
        self.assertIn("is enough for 20 calls, the trunks' limits allow 30", "\n".join(self.load(text)[1]))
