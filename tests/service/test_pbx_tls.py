"""A whole trunk and a PBX that speaks TLS, over real sockets on loopback."""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from skypetrunk.lab.calls import Phase
from skypetrunk.service.neighbour import PBX
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.framing import StreamFramer
from skypetrunk.wire.message import Request, Response, parseMessage, responseTo
from skypetrunk.wire.uri import SIPURI
from tests.net.certificates import authority, leaf
from tests.net.hostile import Stream
from tests.net.test_pbx_tls import HERE, TLSCase, pbxCertificate
from tests.service.scene import NUMBER, Scene, SceneCase, freePorts


def said(stream: Stream) -> list[Request | Response]:
    """The messages that came over a connection."""
    frames = StreamFramer().receive(stream.heard)
    return [parseMessage(each, stream=True) for each in frames if isinstance(each, bytes)]


class TLSCallTests(TLSCase, SceneCase):
    """Calls between the practice carrier and a PBX on TLS."""

    timeout = 60

    async def stage(self) -> tuple[Scene, list[Stream], int, int]:
        """A trunk whose PBX is a server of the test: that one's connections, and the ports of both."""
        directory = Path(tempfile.mkdtemp(prefix="skypetrunk-"))
        self.addCleanup(rmtree, directory)
        own = leaf(HERE, subject="Trunk", keyName="trunk")
        for name, content in (("pem", own.pem), ("key", own.keyPEM), ("ca", authority().pem)):
            (directory / name).write_bytes(content)
        streams, port = self.server(pbxCertificate(), asks=True)
        ours = freePorts()
        scene = await self.begin(
            before=[f"tls:127.0.0.1:{port}"],
            listen=[f"tls:127.0.0.1:{ours}"],
            lines=[
                "options_interval = 0",
                "[pbx.tls]",
                f'certificate = "{directory / "pem"}"',
                f'key = "{directory / "key"}"',
                f'ca_file = "{directory / "ca"}"',
            ],
        )
        return scene, streams, port, ours

    def place(self, scene: Scene) -> TransportAddress:
        """Where the trunk takes TLS connections."""
        office = scene.trunk.pbxes["office"]
        assert isinstance(office, PBX)
        return office.transports.listening[-1]

    async def test_in(self) -> None:
        """A call to the PBX: Request-URI, Via and Contact say TLS, Contact where we listen for it."""
        scene, streams, port, ours = await self.stage()
        far = scene.lab.carrier.dial(NUMBER, "+493012345678")
        await self.until(lambda: streams and said(streams[0]))
        invite = said(streams[0])[0]
        assert isinstance(invite, Request)
        self.assertEqual(invite.uri, f"sip:{NUMBER}@127.0.0.1:{port};transport=tls")
        self.assertEqual(invite.topVia.transport, "TLS")
        contact = invite.contacts[0].uri
        assert isinstance(contact, SIPURI)
        self.assertEqual((contact.host, contact.port, contact.transport), ("127.0.0.1", ours, "tls"))
        self.assertIn(b"RTP/AVP ", invite.body)
        streams[0].say(responseTo(invite, 603, toTag="pbx").encode())
        await far.when(Phase.ENDED)
        self.assertEqual(far.status, 603)
        # Its ACK came over the same connection.
        await self.until(lambda: [each for each in said(streams[0]) if isinstance(each, Request)][1:])
        self.assertEqual(len(streams), 1)
        await scene.idle()

    async def test_out(self) -> None:
        """A call of the PBX over its own connection is answered there."""
        scene, _, _, ours = await self.stage()
        address = self.place(scene)
        self.assertEqual(str(address), f"tls:127.0.0.1:{ours}")
        stream = await self.call(address, pbxCertificate())
        lines = [
            f"INVITE sips:999@127.0.0.1:{ours} SIP/2.0",
            "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK1;rport",
            "From: <sip:1001@127.0.0.1>;tag=1",
            "To: <sip:999@127.0.0.1>",
            "Call-ID: 1",
            "CSeq: 1 INVITE",
            "Content-Length: 0",
        ]
        stream.say("\r\n".join([*lines, "", ""]).encode())
        await self.until(lambda: 503 in stream.statuses())
        self.assertEqual(scene.trunk.manager.emergencies, 1)
        status: Any = scene.status["pbxes"]["office"]
        self.assertEqual((status["handshakes"], status["strangers"]), (0, 0))
        self.assertIn(f"tls:127.0.0.1:{ours}", status["listen"])
        (answer,) = [each for each in said(stream) if isinstance(each, Response) and each.status == 503]
        stream.say("\r\n".join(
            [
                lines[0].replace("INVITE", "ACK", 1),
                *lines[1:3],
                f"To: {answer.header('To')}",
                "Call-ID: 1",
                "CSeq: 1 ACK",
                "Content-Length: 0",
                "",
                "",
            ]
        ).encode())
        await scene.until(lambda: not scene.status["pbxes"]["office"]["calls"], "no call")

    async def test_stranger(self) -> None:
        """One without a certificate is not heard, and the status counts it."""
        scene, _, _, _ = await self.stage()
        stream = await self.call(self.place(scene))
        await self.closed(stream)
        self.assertEqual(scene.status["pbxes"]["office"]["handshakes"], 1)
        self.assertLogged("127.0.0.1: no TLS connection (1 so far)", "peer did not return a certificate")
