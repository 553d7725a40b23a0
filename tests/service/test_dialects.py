"""
The carriers of the profiles that come with the package, each played as far as its facts are known: real TLS
in memory, a PBX, and what the carrier insists on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from skypetrunk.service.settings import InboundConfiguration, TLSConfiguration
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.headers import NameAddr
from skypetrunk.wire.message import Header, Request, Response, responseTo
from skypetrunk.wire.sdes import usableCrypto
from skypetrunk.wire.sdp import parseSDP
from skypetrunk.wire.uri import SIPURI
from tests.core.callnet import SAVP, sdp
from tests.net.certificates import Issued, dns, leaf
from tests.net.network import Listeners
from tests.net.zone import Zone
from tests.service.carriernet import ADDRESS
from tests.service.test_flow_loss import FlowLossCase

CALLER, CALLED = "+442079460100", "+4930123456"
SHORT_TAG = SAVP.replace("_80", "_32")
BOTH = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]


class DialectCase(FlowLossCase):
    """
    A trunk of one profile, found by DNS where its carrier is, and asked what that carrier asks.

    @ivar options: the first OPTIONS of a trunk that does not register.
    """

    targets: tuple[tuple[str, int], ...] = ()

    def opened(self) -> None:
        """It registers, where it does, after a challenge."""
        self.pbx.side.callerFrom = "p-asserted-identity"  # type: ignore[attr-defined]
        if self.trunk.registration is not None:
            self.challenges()
            self.grants()
        else:
            self.options = self.requests("OPTIONS")[0]
            self.answers(200)
        self.assertTrue(self.trunk.side.up)

    def challenges(self, status: int = 401, *headers: tuple[str, str]) -> Request:
        """The carrier challenges the last request; gives the next one, which has credentials."""
        before = self.carrier.transactions[-1].request
        self.assertIsNone(self.credentials(before, status))
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        self.answers(status, (name, f'Digest realm="{self.domain}", nonce="n", qop="auth"'), *headers)
        again = self.carrier.transactions[-1].request
        self.assertEqual(again.method, before.method)
        self.assertIn('username="account"', self.credentials(again, status) or "")
        return again

    @staticmethod
    def credentials(request: Request, status: int) -> str | None:
        """The answer to a challenge with C{status}."""
        return request.header("Authorization" if status == 401 else "Proxy-Authorization")

    def call(self, caller: str = CALLER, called: str = CALLED) -> Request:
        """The PBX calls; gives the INVITE that the carrier gets."""
        asserted = ("P-Asserted-Identity", f"<sip:{caller}@192.0.2.10>")
        self.pbx.invite(f"sip:{called}@198.51.100.1", sdp(), [asserted])
        self.network.flush()
        return self.requests("INVITE")[-1]

    def suites(self, request: Request | Response) -> list[str]:
        """Of the audio line."""
        return [line.suite for line in usableCrypto(parseSDP(request.body).media[0].crypto)]

    def incoming(self, uri: str, to: str, caller: str, media: str = SAVP) -> tuple[Request, Response]:
        """The carrier calls, and the PBX answers: what it got, and our 200 to the carrier."""
        lines = [
            Header("Max-Forwards", "70"),
            Header("From", f"<{caller}>;tag=there"),
            Header("To", f"<{to}>"),
            Header("Call-ID", "of-the-carrier"),
            Header("CSeq", "1 INVITE"),
            Header("Contact", f"<sip:far@{ADDRESS[0]}:5061;transport=tls>"),
            Header("Content-Type", "application/sdp"),
        ]
        user = self.say(Request("INVITE", uri, tuple(lines), sdp(media, "203.0.113.9")))
        got = self.pbx.request("INVITE")
        self.pbx.answers(got, 200, sdp())
        self.network.flush()
        self.assertEqual(user.responses[-1].status, 200)
        return got, user.responses[-1]

    def hangsUp(self) -> Request:
        """The carrier has taken the call, and the PBX ends it: the BYE that the carrier gets."""
        self.accepts(SAVP)
        invite = next(iter(self.pbx._said.values()))
        self.pbx.ack(invite, self.pbx.response(200))
        self.pbx.within(invite, self.pbx.response(200), "BYE", 2)
        self.network.flush()
        return self.requests("BYE")[-1]


class SkypeConnectTests(DialectCase):
    """Skype Connect, as far as the datasheet, the support pages and one trace tell."""

    packaged = "skype-connect"
    domain = "sip.skype.com"
    zone: Zone = {
        "_sips._tcp.sip.skype.com": [("SRV", 10, 1, 5061, "edge.sip.skype.com")],
        "edge.sip.skype.com": [("A", ADDRESS[0])],
    }

    def test_call(self) -> None:
        """From is the account, the number begins with 00; each request is challenged; maddr is followed."""
        invite = self.call()
        self.assertEqual(invite.uri, "sip:004930123456@sip.skype.com")
        self.assertEqual(str(invite.fromAddress.uri), "sip:account@sip.skype.com")
        self.assertEqual(self.suites(invite), BOTH)
        self.challenges(407)
        transaction = self.carrier.transactions[-1]
        contact = f"<sip:004930123456@sip.skype.com:5061;maddr={ADDRESS[0]};transport=tls>"
        lines = [Header("Contact", contact), Header("Content-Type", "application/sdp")]
        body = sdp(SHORT_TAG.replace("crypto:1", "crypto:2"), "203.0.113.9")
        transaction.respond(responseTo(transaction.request, 200, None, lines, body, toTag="carrier"))
        self.network.flush()
        near = next(iter(self.pbx._said.values()))
        self.pbx.ack(near, self.pbx.response(200))
        self.pbx.within(near, self.pbx.response(200), "BYE", 2)
        self.network.flush()
        self.assertIn(f"maddr={ADDRESS[0]}", self.challenges(407).uri)
        self.assertEqual(len(self.connections), 1)

    def test_called(self) -> None:
        """Request-URI is the account, the dialled number stands in To."""
        got, accepted = self.incoming(
            "sip:account@192.0.2.99", f"sip:{CALLER}@sip.skype.com", "sip:+4930@sip.skype.com", SHORT_TAG
        )
        self.assertTrue(got.uri.startswith(f"sip:{CALLER}@"))
        self.assertEqual(self.suites(accepted), BOTH[1:])

    def test_natted(self) -> None:
        """45 seconds are granted behind NAT: the trunk is registered again before they are over."""
        self.network.advance(3480)
        self.grants(seconds=45)
        before = len(self.requests("REGISTER"))
        self.network.advance(44)
        self.assertEqual(len(self.requests("REGISTER")), before + 1)


class TwilioTests(DialectCase):
    """Twilio: nobody registers, and the Request-URI names the trunk."""

    packaged = "twilio"
    domain = "acme.pstn.twilio.com"
    zone: Zone = {"acme.pstn.twilio.com": [("A", ADDRESS[0])]}

    def certificate(self) -> Issued:
        """One for all customers."""
        return leaf(dns("*.pstn.twilio.com"))

    def test_call(self) -> None:
        """To the trunk's name with the transport, from a number in E.164; INVITE is challenged."""
        invite = self.call(caller="00442079460100")
        self.assertEqual(invite.uri, f"sip:{CALLED}@acme.pstn.twilio.com;transport=tls")
        self.assertEqual(str(invite.toAddress.uri), f"sip:{CALLED}@acme.pstn.twilio.com")
        self.assertEqual(str(invite.fromAddress.uri), f"sip:{CALLER}@acme.pstn.twilio.com")
        self.assertEqual(self.suites(invite), BOTH)
        self.assertEqual(self.challenges(407).uri, invite.uri)
        self.hangsUp()
        self.assertEqual(self.requests("REGISTER"), [])

    def test_called(self) -> None:
        """A call of Twilio cannot answer a challenge, and gets none."""
        got, accepted = self.incoming(f"sip:{CALLER}@192.0.2.99", f"sip:{CALLER}@192.0.2.99", "sip:+4930@x.y")
        self.assertTrue(got.uri.startswith(f"sip:{CALLER}@"))
        self.assertEqual(self.suites(accepted), BOTH[:1])

    def test_idle(self) -> None:
        """OPTIONS each minute: the connection is never quiet for two."""
        before = len(self.requests("OPTIONS"))
        for _ in range(5):
            self.network.advance(60)
            self.answers(200)
        self.assertEqual(len(self.requests("OPTIONS")), before + 5)


class TelnyxTests(DialectCase):
    """Telnyx: registered, found by NAPTR, with a second address for some answers."""

    packaged = "telnyx"
    domain = "sip.telnyx.com"
    zone: Zone = {
        "sip.telnyx.com": [
            ("NAPTR", 10, 10, "s", "SIPS+D2T", "", "_sips._tcp.sip.telnyx.com"),
            ("NAPTR", 20, 10, "s", "SIP+D2U", "", "_sip._udp.sip.telnyx.com"),
            ("A", "192.0.2.77"),
        ],
        "_sips._tcp.sip.telnyx.com": [
            ("SRV", 10, 1, 5061, "one.telnyx.com"),
            ("SRV", 20, 1, 5061, "two.telnyx.com"),
        ],
        "one.telnyx.com": [("A", ADDRESS[0])],
        "two.telnyx.com": [("A", "192.0.2.2")],
    }

    def setUp(self) -> None:
        """Both addresses answer."""
        super().setUp()
        self.serve(("192.0.2.2", 5061))

    def servers(self) -> list[str]:
        """Where INVITEs went."""
        return [
            each.channel.localAddress.host
            for each in self.carrier.transactions
            if each.request.method == "INVITE"
        ]

    def test_call(self) -> None:
        """E.164 in Request-URI and From."""
        invite = self.call()
        self.assertEqual(invite.uri, f"sip:{CALLED}@sip.telnyx.com")
        self.assertEqual(str(invite.fromAddress.uri), f"sip:{CALLER}@sip.telnyx.com")
        self.assertEqual(self.suites(invite), BOTH)
        self.challenges(407)
        self.hangsUp()

    def test_secondAddress(self) -> None:
        """After 408, 480, 503 and 504."""
        for status in (408, 480, 503, 504):
            self.setUp()
            self.call()
            self.answers(status)
            self.assertEqual(self.servers(), [ADDRESS[0], "192.0.2.2"], str(status))

    def test_noSecondAddress(self) -> None:
        """Not after 404, 486 and 603."""
        for status in (404, 486, 603):
            self.setUp()
            self.call()
            self.answers(status)
            self.assertEqual(self.servers(), [ADDRESS[0]], str(status))


class TelekomTests(DialectCase):
    """Telekom: a domain without an address, and media security told in SIP."""

    packaged = "telekom-companyflex"
    domain = "tel.t-online.de"
    zone: Zone = {
        "tel.t-online.de": [("NAPTR", 10, 10, "s", "SIPS+D2T", "", "_sips._tcp.tel.t-online.de")],
        "_sips._tcp.tel.t-online.de": [("SRV", 10, 1, 5061, "sip-tls-1.t-online.de")],
        "sip-tls-1.t-online.de": [("A", ADDRESS[0])],
    }
    VERIFY: ClassVar[list[str]] = ["msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp;mediasec"]

    def opened(self) -> None:
        """The 401 says what the carrier can do."""
        self.pbx.side.callerFrom = "p-asserted-identity"  # type: ignore[attr-defined]
        (first,) = self.requests("REGISTER")
        self.assertTold(first, [], client=True)
        again = self.challenges(401, *(("Security-Server", each) for each in self.VERIFY))
        self.assertTold(again, self.VERIFY, client=True)
        self.grants()

    def assertTold(self, request: Request, verify: Sequence[str], client: bool = False) -> None:
        """What C{request} says of media security."""
        self.assertEqual(list(request.values("Security-Verify")), list(verify), request.method)
        self.assertEqual(list(request.values("Security-Client")), ["sdes-srtp;mediasec"] if client else [])
        for name in ("Require", "Proxy-Require"):
            self.assertEqual(request.values(name), ("mediasec",))

    def test_call(self) -> None:
        """Numbers are telephone numbers, and every request repeats what the carrier can do."""
        invite = self.call()
        self.assertEqual(invite.uri, f"sip:{CALLED}@tel.t-online.de;user=phone")
        self.assertEqual(str(invite.toAddress.uri), invite.uri)
        self.assertEqual(str(invite.fromAddress.uri), "sip:account@tel.t-online.de")
        self.assertTold(invite, self.VERIFY)
        audio = parseSDP(invite.body).media[0]
        self.assertIn(("3ge2ae", "requested"), audio.attributes)
        self.assertTold(self.challenges(407), self.VERIFY)
        self.assertTold(self.hangsUp(), self.VERIFY)

    def test_refreshed(self) -> None:
        """A later REGISTER goes on with it."""
        self.network.advance(3480)
        self.assertTold(self.requests("REGISTER")[-1], self.VERIFY, client=True)

    def test_forgotten(self) -> None:
        """494 without a list: what was kept counts no more."""
        self.network.advance(3480)
        self.answers(494)
        self.network.advance(4)
        self.assertTold(self.requests("REGISTER")[-1], [], client=True)

    def test_called(self) -> None:
        """Request-URI is what was registered; the number stands in To, the answer asks for nothing."""
        got, accepted = self.incoming(
            "sip:account@192.0.2.99",
            f"sip:{CALLER}@tel.t-online.de;user=phone",
            "sip:+4930@tel.t-online.de;user=phone",
        )
        self.assertTrue(got.uri.startswith(f"sip:{CALLER}@"))
        self.assertIn("sip:+4930@", str(got.fromAddress.uri))
        self.assertNotIn(b"3ge2ae", accepted.body)


class UnclearTests(TelekomTests):
    """A Security-Server that is no use."""

    def opened(self) -> None:
        """Nothing of it can be repeated."""
        self.challenges(401, ("Security-Server", 'tls, ;;, sdes-srtp;x="'), ("Security-Server", "ipsec-3gpp"))
        self.grants()

    def test_call(self) -> None:
        """Calls go as without it."""
        self.assertEqual(self.call().values("Security-Verify"), ())
        self.assertEqual(self.call().values("Require"), ())

    def test_refreshed(self) -> None:
        """REGISTER says no more than at first."""
        self.network.advance(3480)
        self.assertTold(self.requests("REGISTER")[-1], [], client=True)


class TeamsTests(DialectCase):
    """Teams: the certificate and the host name in Contact say who calls; three names in their order."""

    packaged = "teams-direct-routing"
    domain = "sip.pstnhub.microsoft.com"
    targets = tuple((f"sip{number}.pstnhub.microsoft.com", 5061) for number in ("", "2", "3"))
    zone: Zone = {
        "sip.pstnhub.microsoft.com": [("A", ADDRESS[0])],
        "sip2.pstnhub.microsoft.com": [("A", "192.0.2.2")],
        "sip3.pstnhub.microsoft.com": [("A", "192.0.2.3")],
    }

    def inbound(self, directory: Path) -> InboundConfiguration:
        """With a certificate for the name of the trunk."""
        own = leaf(dns("sbc.example.com"))
        (directory / "own.pem").write_bytes(own.pem)
        (directory / "own.key").write_bytes(own.keyPEM)
        files = TLSConfiguration(directory / "ca.pem", (), directory / "own.pem", directory / "own.key", None)
        listen = (TransportAddress("TLS", "192.0.2.99", 5061),)
        return InboundConfiguration(listen=listen, files=files, allow=None, name="sbc.example.com")

    def assertOurs(self, address: NameAddr, user: str) -> None:
        """An address of ours names the host that the certificate proves."""
        uri = address.uri
        assert isinstance(uri, SIPURI)
        self.assertEqual((uri.user, uri.host), (user, "sbc.example.com"))

    def test_options(self) -> None:
        """Each minute, with the host name in From and Contact."""
        options = self.options
        self.assertEqual(options.uri, "sip:sip.pstnhub.microsoft.com")
        self.assertOurs(options.fromAddress, "account")
        self.assertOurs(options.contacts[0], "account")
        self.network.advance(60)
        self.assertEqual(len(self.requests("OPTIONS")), 2)

    def test_call(self) -> None:
        """A number with user=phone; the longer tag alone; no credentials."""
        invite = self.call()
        self.assertEqual(invite.uri, f"sip:{CALLED}@sip.pstnhub.microsoft.com;user=phone")
        self.assertOurs(invite.fromAddress, CALLER)
        self.assertOurs(invite.contacts[0], "account")
        self.assertEqual(self.suites(invite), BOTH[:1])
        self.hangsUp()

    def test_called(self) -> None:
        """Its own offers have both suites."""
        second = SHORT_TAG.splitlines(keepends=True)[-1].replace("crypto:1", "crypto:2")
        got, accepted = self.incoming(
            f"sip:{CALLER}@sbc.example.com:5061;user=phone;transport=tls",
            f"sip:{CALLER}@sbc.example.com",
            "sip:+4930@sip.pstnhub.microsoft.com;user=phone",
            SAVP + second,
        )
        self.assertTrue(got.uri.startswith(f"sip:{CALLER}@"))
        self.assertEqual(self.suites(accepted), BOTH[:1])

    def test_order(self) -> None:
        """503: the next name, which proves itself."""
        self.serve(("192.0.2.2", 5061), issued=leaf(dns("sip2.pstnhub.microsoft.com")))
        self.call()
        self.answers(503, ("Retry-After", "1"))
        hosts = [
            each.channel.localAddress.host
            for each in self.carrier.transactions
            if each.request.method == "INVITE"
        ]
        self.assertEqual(hosts, [ADDRESS[0], "192.0.2.2"])

    def test_stranger(self) -> None:
        """A name that is none of the three gets nothing."""
        silent = Listeners()
        self.serve(("192.0.2.2", 5061), silent, leaf(dns("sip4.pstnhub.microsoft.com")))
        self.call()
        self.answers(503, ("Retry-After", "1"))
        self.assertEqual((len(self.requests("INVITE")), silent.heard), (1, []))


class VonageTests(DialectCase):
    """Vonage: every INVITE challenged, numbers without plus, and SRTP asked for in the Request-URI."""

    packaged = "vonage"
    domain = "sip.nexmo.com"
    zone: Zone = {
        "_sips._tcp.sip.nexmo.com": [("SRV", 10, 1, 5061, "sip-eu1.nexmo.com")],
        "sip-eu1.nexmo.com": [("A", ADDRESS[0])],
    }

    def test_call(self) -> None:
        """To and from numbers without plus."""
        invite = self.call()
        self.assertEqual(invite.uri, "sip:4930123456@sip.nexmo.com;transport=tls;media=srtp")
        self.assertEqual(str(invite.toAddress.uri), "sip:4930123456@sip.nexmo.com")
        self.assertEqual(str(invite.fromAddress.uri), "sip:442079460100@sip.nexmo.com")
        self.challenges(401)
        self.hangsUp()
        self.assertEqual(self.requests("REGISTER"), [])

    def test_called(self) -> None:
        """The PBX gets numbers with a plus."""
        uri = "sip:442079460100@192.0.2.99"
        got, _ = self.incoming(uri, uri, "sip:4930123456@sip.nexmo.com")
        self.assertTrue(got.uri.startswith(f"sip:{CALLER}@"))
        self.assertIn(f"sip:{CALLED}@", str(got.fromAddress.uri))
