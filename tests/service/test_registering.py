"""A trunk whose PBX registers: over real sockets, from its REGISTER to a call."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel

from skypetrunk.service.settings import PBXConfiguration
from skypetrunk.wire.digest import parseChallenge, respond
from skypetrunk.wire.message import Header, Request, Response, parseMessage
from skypetrunk.wire.secret import Secret
from tests.net.hostile import Datagrams
from tests.service.configurations import COMPLETE, ConfigurationTestCase
from tests.service.scene import Scene, SceneCase

ACCOUNT = 'username = "office"\npassword_file = "skype.secret"\n'


class RegisteringTests(SceneCase):
    """The PBX is where it says."""

    async def register(self, scene: Scene, contact: str, password: str = "right") -> int:
        """The status that a REGISTER with credentials gets, after the challenge."""
        socket = Datagrams()
        port: Any = self.reactor.listenUDP(0, socket, interface="127.0.0.1")
        proxy = scene.proxy
        uri = f"sip:{proxy.hostPort}"
        credentials = ""
        try:
            for number in (1, 2):
                lines = [
                    ("Via", f"SIP/2.0/UDP 127.0.0.1:{port.getHost().port};branch=z9hG4bK{password}{number}"),
                    ("Max-Forwards", "70"),
                    ("From", f"<sip:office@{proxy.host}>;tag=1"),
                    ("To", f"<sip:office@{proxy.host}>"),
                    ("Call-ID", f"register-{password}"),
                    ("CSeq", f"{number} REGISTER"),
                    ("Contact", f"<{contact}>"),
                    *([("Authorization", credentials)] if credentials else []),
                ]
                request = Request("REGISTER", uri, tuple(Header(*line) for line in lines))
                transport: Any = socket.transport
                transport.write(request.encode(), (proxy.host, proxy.port))
                await scene.until(lambda: len(socket.heard) >= number, "answered")  # noqa: B023
                response = parseMessage(socket.heard[-1])
                assert isinstance(response, Response)
                status = response.status
                challenge = parseChallenge(response.header("WWW-Authenticate") or "Digest realm=a,nonce=b")
                assert challenge is not None
                credentials = respond(
                    challenge, "office", Secret(password), "REGISTER", uri, nonceCount=1, cnonce="c"
                )
            return status
        finally:
            await port.stopListening()

    async def test_call(self) -> None:
        """Before it has registered there is no way to it; then calls go to its Contact."""
        scene = self.build(registers="right")
        scene.start()
        await scene.registered()
        office: Any = lambda: scene.status["pbxes"]["office"]  # noqa: E731
        self.assertEqual(office()["registration"], {"contact": None})
        far = scene.lab.carrier.dial("+442079460100", "+493012345678")
        await scene.until(lambda: far.status, "refused")
        self.assertEqual(far.status, 503)
        phone = scene.phone.address
        side = scene.trunk.pbxes["office"].side
        self.assertFalse(side.isAt(phone.host))
        contact = f"sip:line@{phone.host}:{phone.port}"
        self.assertEqual(await self.register(scene, contact, "wrong"), 403)
        self.assertEqual(office()["unproved"], {"password": 1})
        self.assertEqual(await self.register(scene, contact), 200)
        self.assertEqual(office()["registration"]["contact"], contact)
        # Where a redirection of its own may lead.
        self.assertTrue(side.isAt(phone.host))
        self.assertLogged("office", f"registered at {contact}", level=LogLevel.info)
        near, far = await scene.callIn()
        self.assertEqual(near.number, "+442079460100")
        near.hangUp()
        await scene.over(near, far)


class TableTests(ConfigurationTestCase):
    """C{pbx.register}."""

    def test_register(self) -> None:
        """An account and networks, and no address."""
        text = COMPLETE.replace('address = "udp:127.0.0.1:5070"', f"register = true\n{ACCOUNT}")
        (pbx,) = self.load(text)[0].pbxes
        self.assertIsInstance(pbx, PBXConfiguration)
        self.assertEqual((pbx.address, pbx.addresses, pbx.username), (None, (), "office"))

    def test_wrong(self) -> None:
        """What is said about mistakes."""
        right = "would be right: one of them: calls go where it registered"
        self.assertProblem(
            'address = "udp:127.0.0.1:5070"\nallow = ["127.0.0.0/8"]',
            'register = true\naddress = "udp:127.0.0.1:5070"\noptions_interval = 3',
            f"pbx.office.register: stands beside address; {right}",
            f"pbx.office.register: stands beside options_interval; {right}",
            'pbx.office.username: is missing beside register; would be right: username = "office"',
            'pbx.office.allow: is missing beside register; would be right: allow = ["192.0.2.0/24"]',
        )
