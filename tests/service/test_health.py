"""How the health of a PBX's addresses is learned, and that calls go where it is good."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.sides import PBXSide
from skypetrunk.core.transactions import Transactions
from skypetrunk.interfaces import IClientTransactionUser, ITransactions
from skypetrunk.pbx.health import HealthTable
from skypetrunk.service.health import HealthWatch, OptionsProbe, WatchedTransactions, _Watched
from skypetrunk.testing import RecordingChannel, countingToken
from skypetrunk.wire.address import parseAddress
from skypetrunk.wire.message import responseTo
from skypetrunk.wire.uri import SIPURI, parseURI
from tests.core.callnet import Finder
from tests.service.configurations import COMPLETE, ConfigurationTestCase
from tests.service.scene import Scene, SceneCase, freePorts


class ProbeTests(SynchronousTestCase):
    """OPTIONS on a clock."""

    def setUp(self) -> None:
        """A PBX with one address that is asked every 30 s."""
        self.clock = Clock()
        self.channel = RecordingChannel(self.clock, "udp:192.0.2.10:5070")
        self.finder = Finder(self.channel)
        self.table = HealthTable([parseAddress("udp:192.0.2.10:5070")], self.clock.seconds)
        local, target = parseURI("sip:198.51.100.1:5060"), parseURI("sip:192.0.2.10:5070")
        assert isinstance(local, SIPURI) and isinstance(target, SIPURI)
        side = PBXSide("office", self.finder, target, local)
        self.real = Transactions(self.clock, side, countingToken())
        self.watched = WatchedTransactions(self.real, HealthWatch("office", self.table))
        self.probe = OptionsProbe(self.clock, countingToken(), self.watched, self.finder, local, [target], 30)

    def state(self) -> tuple[int, str | None]:
        """Failures and reason."""
        (status,) = self.table.status()
        return status["failures"], status["reason"]

    def answer(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """The PBX answers the last OPTIONS."""
        request = self.channel.requests[-1]
        self.real.messageReceived(responseTo(request, status, None, headers, toTag="x"), self.channel)

    def test_interfaces(self) -> None:
        """They are what they say."""
        self.assertTrue(verifyObject(ITransactions, self.watched))
        user: Any = None
        self.assertTrue(
            verifyObject(IClientTransactionUser, _Watched(user, HealthWatch("office", self.table)))
        )

    def test_request(self) -> None:
        """OPTIONS as RFC 3261 section 11.1 wants it, in each interval, until it is stopped."""
        self.probe.start()
        (request,) = self.channel.requests
        self.assertEqual((request.method, request.uri), ("OPTIONS", "sip:192.0.2.10:5070"))
        self.assertEqual(request.header("Accept"), "application/sdp")
        self.answer(200)
        self.clock.advance(29)
        self.assertEqual(len(self.channel.requests), 1)
        self.clock.advance(1)
        self.assertEqual(len({each.callID for each in self.channel.requests}), 2)
        self.answer(200)
        self.probe.stop()
        self.clock.advance(100)
        self.assertEqual((len(self.channel.requests), self.real.pending), (2, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers(self) -> None:
        """Every answer but 503 is a sign of life, also 401 and 404."""
        self.probe.start()
        for status, wanted in (
            (200, (0, None)),
            (503, (1, "503 Service Unavailable")),
            (404, (0, None)),
            (503, (1, "503 Service Unavailable")),
            (401, (0, None)),
            (500, (0, None)),
        ):
            self.answer(status)
            self.assertEqual(self.state(), wanted, status)
            self.clock.advance(30)

    def test_retryAfter(self) -> None:
        """How long 503 counts, its Retry-After says (RFC 3261 section 20.33); nonsense says nothing."""
        self.probe.start()
        for value, penalty in (("7 (soon);duration=3", 7.0), ("never", 30.0), ("9" * 20, 240.0)):
            self.answer(503, (("Retry-After", value),))
            self.assertEqual(self.table.status()[0]["penalty"], penalty, value)
            self.clock.advance(30)

    def test_silence(self) -> None:
        """No answer within 64*T1."""
        self.probe.start()
        self.clock.pump([1] * 29)
        self.assertEqual(self.state(), (0, None))
        self.clock.pump([1] * 4)
        self.assertEqual(self.state(), (1, "no answer"))

    def test_channelFails(self) -> None:
        """The socket refuses."""
        self.channel.failure = "refused"
        self.probe.start()
        self.clock.advance(0)
        self.assertEqual(self.state(), (1, "refused"))


class FailoverTests(SceneCase):
    """Calls to a PBX of which one address is dead."""

    def state(self, scene: Scene) -> dict[str, Any]:
        """Of the first address."""
        state: dict[str, Any] = scene.status["pbxes"]["office"]["addresses"][0]
        return state

    async def test_silent(self) -> None:
        """An address that says nothing costs the first call some time, and the next none."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            dead = f"udp:127.0.0.1:{silent.getsockname()[1]}"
            scene = await self.begin(before=[dead], lines=["options_interval = 0"])
            for attempts in (1, 0):
                before = len(
                    [each for each in scene.requests("INVITE", transport="UDP") if dead[4:] in each.uri]
                )
                near, far = await scene.callIn()
                near.hangUp()
                await scene.over(near, far)
                tried = [each for each in scene.requests("INVITE", transport="UDP") if dead[4:] in each.uri]
                self.assertEqual(len({each.callID for each in tried[before:]}), attempts)
            self.assertEqual((self.state(scene)["address"], self.state(scene)["reason"]), (dead, "no answer"))
            self.assertLogged("office", dead, "is not used: no answer", level=LogLevel.warn)

    async def test_refused(self) -> None:
        """An address that takes no connection costs none of them any."""
        dead = f"tcp:127.0.0.1:{freePorts()}"
        scene = await self.begin(before=[dead], lines=["options_interval = 0"])
        near, far = await scene.callIn()
        self.assertIn("refused", self.state(scene)["reason"])
        near.hangUp()
        await scene.over(near, far)

    async def test_options(self) -> None:
        """OPTIONS finds it out before the first call."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            dead = f"udp:127.0.0.1:{silent.getsockname()[1]}"
            scene = await self.begin(before=[dead])
            await scene.until(lambda: self.state(scene)["reason"], "found dead")
            near, far = await scene.callIn()
            self.assertEqual([each for each in scene.requests("INVITE") if dead[4:] in each.uri], [])
            near.hangUp()
            await scene.over(near, far)
            alive = scene.status["pbxes"]["office"]["addresses"][1]
            self.assertEqual((alive["failures"], alive["reason"]), (0, None))


class AddressTests(ConfigurationTestCase):
    """C{pbx.address} as a list."""

    def test_several(self) -> None:
        """In order; all may call by default, and each is asked for its health."""
        text = COMPLETE.replace('"udp:127.0.0.1:5070"', '["udp:127.0.0.1:5070", "tcp:127.0.0.2:5070"]')
        (pbx,) = self.load(text.replace('allow = ["127.0.0.0/8"]\n', ""))[0].pbxes
        self.assertEqual([str(each) for each in pbx.addresses], ["udp:127.0.0.1:5070", "tcp:127.0.0.2:5070"])
        self.assertEqual([str(each) for each in pbx.allow], ["127.0.0.1/32", "127.0.0.2/32"])
        self.assertEqual(pbx.optionsInterval, 30)
        (pbx,) = self.load(COMPLETE)[0].pbxes
        self.assertEqual((pbx.others, pbx.optionsInterval), ((), 0))

    def test_wrong(self) -> None:
        """What is said about mistakes."""
        for new, problem in (
            (
                '["udp:127.0.0.1:5070", "udp:127.0.0.1:5070"]',
                'pbx.office.address: "udp:127.0.0.1:5070" stands there twice; would be right: each once',
            ),
            ("[]", 'pbx.office.address: is empty; would be right: address = "udp:192.0.2.5:5060"'),
            ("7", 'pbx.office.address: is a whole number; would be right: address = "udp:192.0.2.5:5060"'),
        ):
            self.assertProblem('"udp:127.0.0.1:5070"', new, problem)
