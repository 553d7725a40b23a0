"""The dialect by itself, and in a real trunk."""

from __future__ import annotations

from pathlib import Path

from skypetrunk_odd import OddHeaders, oddHeaders
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICheckedPlugin, IVendorPlugin
from skypetrunk.lab.calls import Phase
from skypetrunk.testing import DialectConformance
from skypetrunk.testing.stage import NUMBER, TONE, Stage
from skypetrunk.wire.message import Request, parseMessage


def invite(*lines: str, to: str = "<sip:trunk@192.0.2.1>") -> Request:
    """An INVITE of the PBX."""
    head = [
        "INVITE sip:trunk@192.0.2.1 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK1",
        "From: <sip:1001@192.0.2.5>;tag=1",
        f"To: {to}",
        "Call-ID: 1",
        "CSeq: 1 INVITE",
    ]
    message = parseMessage("\r\n".join([*head, *lines, "", ""]).encode())
    assert isinstance(message, Request)
    return message


class OddHeadersTests(DialectConformance, SynchronousTestCase):
    """What is moved, and what is left alone."""

    def makeDialect(self) -> OddHeaders:
        """The one of the PBX."""
        return oddHeaders({})

    def test_dialled(self) -> None:
        """The number stands in the Request-URI, and the headers of the PBX are gone."""
        message = invite("x-dialed-number: +442079460002", "P-Charging: 7", "Subject: x")
        heard = self.makeDialect().fromPBX(message)
        assert isinstance(heard, Request)
        self.assertEqual(heard.uri, "sip:+442079460002@192.0.2.1")
        self.assertEqual(heard.headers, (*message.headers[:-3], message.headers[-1]))

    def test_leftAlone(self) -> None:
        """What is no number, and the Request-URI of a dialog."""
        for message in (
            invite("X-Dialed-Number: <script>"),
            invite("X-Dialed-Number: 1", to="<sip:trunk@192.0.2.1>;tag=2"),
        ):
            heard = self.makeDialect().fromPBX(message)
            assert isinstance(heard, Request)
            self.assertEqual((heard.uri, heard.header("X-Dialed-Number")), (message.uri, None))

    def test_called(self) -> None:
        """The called number is said twice, and nothing else changes."""
        message = invite()
        sent = self.makeDialect().toPBX(message)
        self.assertEqual(sent, message.addingHeader("X-Called-Number", "trunk"))

    def test_settings(self) -> None:
        """Every mistake at once."""
        with self.assertRaises(ConfigurationError) as caught:
            oddHeaders({"called": "X Y", "dialled": 1, "strip": "P-Charging", "x": 1})
        self.assertEqual(len(caught.exception.problems), 4)

    def test_check(self) -> None:
        """C{skypetrunk check} asks the plugin, which makes nothing for it."""
        [plugin] = [each for each in getPlugins(IVendorPlugin) if each.name == "odd-headers"]
        self.assertTrue(verifyObject(ICheckedPlugin, plugin))
        directory = Path(self.mktemp())
        directory.mkdir()
        plugin.check({}, directory)
        self.assertRaises(ConfigurationError, plugin.check, {"x": 1}, directory)


class TrunkTests(TestCase):
    """Found by the trunk, and used by it."""

    timeout = 30

    async def test_calls(self) -> None:
        """Out with the number in a header, an emergency number too; in with the called number in another."""
        from twisted.internet import reactor

        lines = ["[[plugin]]", 'name = "odd-headers"']
        stage = Stage(reactor, lines, pbx=['dialect = "odd-headers"'])
        self.addCleanup(stage.close)
        await stage.start()
        call = await stage.dial("trunk", [("X-Dialed-Number", TONE), ("P-Charging", "7")])
        self.assertIs(call.phase, Phase.ANSWERED)
        call.hangUp()
        await stage.idle()
        self.assertEqual((await stage.dial("trunk", [("X-Dialed-Number", "999")])).status, 503)
        self.assertEqual(stage.trunk.manager.emergencies, 1)
        call = await stage.ring()
        self.assertIs(call.phase, Phase.ANSWERED)
        called = [each.header("X-Called-Number") for sent, each in stage.heard if not sent]
        self.assertEqual([number for number in called if number], [NUMBER])
        call.hangUp()
        await stage.idle()
