"""
Marker secrets go through the whole trunk at debug level, and are then looked for in everything it says:
log, trace, status, control socket, errors and reprs.
"""

from __future__ import annotations

import base64
import gc
import os
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.task import deferLater
from twisted.logger import eventAsText
from twisted.protocols.amp import AMP
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import ConfigurationError
from skypetrunk.lab.calls import Phase
from skypetrunk.net.signalling import StreamSignalling
from skypetrunk.service.config import loadConfiguration
from skypetrunk.service.control import HangUp, Status
from skypetrunk.wire.sdes import parseCrypto
from skypetrunk.wire.sdp import parseSDP
from tests.net.hostile import Datagrams
from tests.service.leaks import formsOf, leaks, passwordForms, representations
from tests.service.scene import ACCOUNT, CLEAR, NO_ANSWER, PASSWORD, Scene, SceneCase

DOMAIN = "sip.skype.com"

MARKER = b"MarkerKeyMarkerKMarkerSaltMark"
"""Key and salt of offers that are refused."""

INLINE = base64.b64encode(MARKER).decode()

BAD_OFFERS = (
    # Not one of them is taken, each for another reason; all hold the marker.
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE[:-4]}",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}{INLINE}",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|2^99",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE}|1:9999",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{INLINE} UNKNOWN=x",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 online:{INLINE}",
    f"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:{INLINE}",
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_99 inline:{INLINE}",
    f"a=crypto:1 inline:{INLINE}",
    f"a=crypto:inline:{INLINE}",
    f"a=key-mgmt:mikey {INLINE}",
    f"k=base64:{INLINE}",
    f"inline:{INLINE}",
)


class Recorder(AMP):
    """
    A control client.

    @ivar heard: everything the trunk said to it.
    """

    heard = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep it, too."""
        self.heard += data
        super().dataReceived(data)


class LeakCase(SceneCase):
    """Looks for secrets."""

    async def control(self, scene: Scene, hangUp: str = "") -> bytes:
        """What is said over the control socket, octet for octet."""
        endpoint = UNIXClientEndpoint(self.reactor, str(scene.directory / "control"))
        recorder: Recorder = await connectProtocol(endpoint, Recorder())
        page, more = 0, True
        while more:
            more = (await recorder.callRemote(Status, page=page))["more"]
            page += 1
        try:
            await recorder.callRemote(HangUp, call=hangUp)
        except Exception as error:
            self.assertIn("there is no call", str(error))
        recorder.transport.loseConnection()  # type: ignore[union-attr]
        await deferLater(self.reactor, 0.02)
        return recorder.heard

    def outputs(self, scene: Scene) -> dict[str, bytes]:
        """What was logged, written and can be shown."""
        texts = {f"repr of event {n}": repr(event) for n, event in enumerate(self.events)}
        texts |= {
            f"event {n}": eventAsText(event, includeTraceback=True) for n, event in enumerate(self.events)
        }
        book = scene.trunk.book
        texts |= {"status": repr(scene.status), "book": f"{vars(book)} {book.up({})} {list(book.ended)}"}
        outputs = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
        for path in scene.directory.rglob("*"):
            if path.is_file() and path.name != "carrier.secret":
                outputs[str(path)] = path.read_bytes()
        return outputs | representations("skypetrunk.")

    def keys(self, scene: Scene) -> set[bytes]:
        """Every SRTP key that stood in a message, either way."""
        keys = set()
        for _, message, _ in scene.seen:
            if message.body.startswith(b"v=0") and b"inline:" in message.body:
                for media in parseSDP(message.body).media:
                    for line in media.crypto:
                        master = parseCrypto(line).keys[0].master
                        keys.add(master.key + master.salt)
        return keys


class CallTests(LeakCase):
    """A trunk at debug level."""

    async def test_calls(self) -> None:
        """Registration, calls both ways, a re-INVITE, refusals: password and keys are nowhere."""
        scene = await self.begin(debug=True)
        near, far = await scene.callOut()
        await scene.hearing(near, far)
        far.renegotiate("sendonly")
        second = await scene.callIn()
        await scene.hearing(*second)
        heard = await self.control(scene)
        live = self.outputs(scene)
        for call in (near, far, *second):
            call.hangUp()
        await scene.over(near, far, *second)
        refused = scene.phone.dial(CLEAR, scene.proxy)
        ringing = scene.phone.dial(NO_ANSWER, scene.proxy)
        await ringing.when(Phase.RINGING)
        ringing.hangUp()
        await scene.over(refused, ringing)
        heard += await self.control(scene)
        keys = self.keys(scene)
        self.assertGreaterEqual(len(keys), 8)
        forms = passwordForms(ACCOUNT, DOMAIN, PASSWORD).union(*map(formsOf, keys))
        outputs = self.outputs(scene) | {"control": heard}
        self.assertEqual(leaks(forms, live | outputs), [])
        # What was searched was there: traced messages with their secrets' places, and live objects.
        log = b"".join(text for name, text in outputs.items() if name.startswith("event"))
        for part in (b"inline:<hidden>", b"response=<hidden>", b"Proxy-Authorization: Digest", b"a=rtpmap:8"):
            self.assertIn(part, log)
        self.assertIn(b'"trunks"', heard)
        self.assertGreater(len([name for name in live if name.startswith("skypetrunk.core.leg.")]), 3)

    async def test_wrongPassword(self) -> None:
        """A registration that is refused says why, without what it was tried with."""
        scene = self.build(debug=True, password="the right one", trunkPassword=PASSWORD)
        scene.start()
        await scene.until(lambda: scene.carrier["problem"] and "40" in scene.carrier["problem"], "refused")
        outputs = self.outputs(scene) | {"control": await self.control(scene)}
        self.assertEqual(leaks(passwordForms(ACCOUNT, DOMAIN, PASSWORD), outputs), [])

    async def test_badOffers(self) -> None:
        """Offers with something wrong about a key are refused in words that leave the key out."""
        scene = await self.begin(debug=True)
        [binding] = scene.lab.carrier.registrar.bindings()
        assert isinstance(binding.channel, StreamSignalling)
        peer = Datagrams()
        port = self.reactor.listenUDP(0, peer, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        assert peer.transport is not None
        peer.transport.connect(scene.proxy.host, scene.proxy.port)
        for number, line in enumerate(BAD_OFFERS):
            for protocol in ("RTP/SAVP", "RTP/AVP"):
                carrier: Any = binding.channel.transport
                carrier.write(_invite(f"{number}{protocol[4]}", line, protocol, "TLS"))
                peer.say(_invite(f"p{number}{protocol[4]}", line, protocol, "UDP"))
                await deferLater(self.reactor, 0.01)
        await scene.idle()
        self.assertGreater(len(self.logged()), 20)
        outputs = self.outputs(scene) | {"control": await self.control(scene)}
        self.assertEqual(leaks(formsOf(MARKER), outputs), [])


def _invite(call: str, line: str, protocol: str, transport: str) -> bytes:
    """An INVITE to the busy number with C{line} in its offer."""
    body = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n"
        f"m=audio 40000 {protocol} 8\r\na=rtpmap:8 PCMA/8000\r\n{line}\r\n"
    )
    return (
        "INVITE sip:+442079460003@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 127.0.0.1:5099;rport;branch=z9hG4bK{call}\r\n"
        f"From: <sip:1001@127.0.0.1>;tag=mine\r\nTo: <sip:+442079460003@127.0.0.1>\r\nCall-ID: {call}\r\n"
        "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:1001@127.0.0.1:5099>\r\n"
        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class ConfigurationTests(SynchronousTestCase):
    """Mistakes in a file that holds a password."""

    def test_mistakes(self) -> None:
        """Whatever is wrong around a password, no line repeats it."""
        quoted = PASSWORD.replace("\\", "\\\\")
        for line in (
            f'pasword = "{quoted}"',
            f'password = ["{quoted}"]',
            f'password = "{quoted}',
            f'password = "{quoted}\\q"',
            f'password = {{ value = "{quoted}" }}',
            f'password = "{quoted}"\npassword = "{quoted}"',
            f'password = "{quoted}"\npassword_file = "x"',
            f'password_file = "{quoted}"\nca_file = 3',
        ):
            path = Path(self.mktemp())
            path.write_text(f'[[trunk]]\nname = "carrier"\nprofile = "skype-connect"\n{line}\n')
            with self.assertRaises(ConfigurationError) as caught:
                loadConfiguration(path, os.environ)
            told = f"{caught.exception} {caught.exception!r} {caught.exception.problems}"
            if "password_file" not in line:
                self.assertEqual(leaks(passwordForms(ACCOUNT, DOMAIN, PASSWORD), {line: told.encode()}), [])
        gc.collect()


class SearchTests(SynchronousTestCase):
    """The search itself finds what it looks for."""

    def test_forms(self) -> None:
        """In each form, anywhere in a longer text."""
        for secret in (PASSWORD.encode(), MARKER, bytes(range(200, 230))):
            for octets in (
                secret,
                secret.hex().upper().encode(),
                repr(secret).encode(),
                base64.b64encode(b"x" + secret + b"y"),
                base64.urlsafe_b64encode(b"xy" + secret),
            ):
                self.assertNotEqual(leaks(formsOf(secret), {"there": b"before " + octets + b" after"}), [])
        self.assertEqual(leaks(formsOf(MARKER), {"there": b"nothing"}), [])
        self.assertNotEqual(leaks(formsOf(MARKER), {"there": MARKER[16:]}), [])
