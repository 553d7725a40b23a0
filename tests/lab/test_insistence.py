"""What the practice carrier insists on as a carrier of today (Skype Connect facts, section 10.3)."""

from __future__ import annotations

from skypetrunk.wire.message import Header, Request, Response
from tests.lab.peer import ACCOUNT, offer
from tests.lab.test_registrar import CarrierCase

REQUIRED = (("Require", "mediasec"), ("Proxy-Require", "mediasec"))
CLIENT = ("Security-Client", "sdes-srtp;mediasec")
SERVER = ("msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp;mediasec")
VERIFY = tuple(("Security-Verify", each) for each in SERVER)


class InsistenceCase(CarrierCase):
    """A carrier that wants more than others."""

    def answer(self, request: Request) -> Response:
        """The answer to C{request} that is not 100."""
        self.peer.give(request)
        answer = self.peer.takeResponse()
        return self.peer.takeResponse() if answer.status == 100 else answer

    @staticmethod
    def with_(request: Request, *headers: tuple[str, str]) -> Request:
        """C{request} with more headers."""
        for header in headers:
            request = request.addingHeader(*Header(*header))
        return request


class MediasecTests(InsistenceCase):
    """3GPP TS 24.229 and TS 33.328, RFC 3329."""

    def setUp(self) -> None:
        """It is wanted, and nobody is challenged but at REGISTER."""
        super().setUp()
        self.start(mediasec=True)

    def registering(self) -> Request:
        """A REGISTER without credentials."""
        return self.peer.request("REGISTER", to=f"<sip:{ACCOUNT}@sip.skype.com>")

    def test_register(self) -> None:
        """494 without; the 401 tells what the carrier can do; 494 where that is not repeated, else 200."""
        plain = self.registering()
        refused = self.answer(plain)
        self.assertEqual((refused.status, refused.values("Security-Server")), (494, SERVER))
        self.assertEqual(self.answer(self.with_(self.registering(), CLIENT)).status, 494)
        first = self.with_(self.registering(), CLIENT, *REQUIRED)
        challenge = self.answer(first)
        self.assertEqual((challenge.status, challenge.values("Security-Server")), (401, SERVER))
        again = self.peer.authorised(first, challenge)
        self.assertEqual(self.answer(again).status, 494)
        less = self.with_(self.peer.authorised(first, challenge, count=2), *VERIFY[1:])
        self.assertEqual(self.answer(less).status, 494)
        whole = self.with_(self.peer.authorised(first, challenge, count=3), *VERIFY)
        self.assertEqual(self.answer(whole).status, 200)

    def test_call(self) -> None:
        """Other requests repeat it, and offers ask for it."""
        body = offer()
        marked = body + b"a=3ge2ae:requested\r\n"
        for headers, sdp, status in (
            ((), marked, 494),
            (VERIFY, marked, 494),
            (REQUIRED, marked, 494),
            ((*REQUIRED, *VERIFY), body, 488),
            ((*REQUIRED, *VERIFY), marked, 407),
        ):
            invite = self.peer.request("INVITE", "sip:+442079460003@sip.skype.com", body=sdp)
            self.assertEqual(self.answer(self.with_(invite, *headers)).status, status)

    def test_unreadable(self) -> None:
        """A list that cannot be read is none."""
        broken = self.with_(self.peer.request("OPTIONS"), *REQUIRED, ("Security-Verify", 'a="'))
        self.assertEqual(self.answer(broken).status, 494)


class AddressTests(InsistenceCase):
    """Where the Contact is, and what the Request-URI says."""

    def test_contact(self) -> None:
        """A host name: 403 for an address; a request without Contact is none of it."""
        self.start(contactHost="sbc.example.com", authentication="ip")
        options = self.peer.request("OPTIONS")
        for contact, status in (
            ("<sip:a@SBC.example.com:5061;transport=tls>", 200),
            ("<sip:a@127.0.0.9:5061>", 403),
            ("<tel:+44>", 403),
        ):
            self.assertEqual(self.answer(options.withHeader("Contact", contact)).status, status)
        self.assertEqual(self.answer(options.withoutHeader("Contact")).status, 200)

    def test_parameters(self) -> None:
        """403 names what is missing; only calls are meant."""
        self.start(uriParameters="transport=tls;media=srtp", authentication="ip")
        uri = "sip:+442079460003@sip.skype.com"
        invite = self.peer.request("INVITE", uri, body=offer())
        refused = self.answer(invite)
        self.assertEqual(refused.status, 403)
        self.assertIn("media=srtp", refused.reason)
        whole = self.peer.request("INVITE", f"{uri};media=srtp;transport=tls", to=f"<{uri}>", body=offer())
        self.assertEqual(self.answer(whole).status, 486)
        self.assertEqual(self.answer(self.peer.request("OPTIONS")).status, 200)
