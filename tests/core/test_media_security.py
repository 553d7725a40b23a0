"""Tests of L{skypetrunk.core.media_security}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.media_security import MOST_MECHANISMS, MediaSecurity
from skypetrunk.wire.message import Header, Request, Response

REGISTER = Request("REGISTER", "sip:carrier.example", (Header("CSeq", "1 REGISTER"),))
REQUIRED = [("Require", "mediasec"), ("Proxy-Require", "mediasec")]


def answer(status: int, *mechanisms: str) -> Response:
    """A response whose Security-Server lines are C{mechanisms}."""
    return Response(status, "", tuple(Header("Security-Server", each) for each in mechanisms))


class MediaSecurityTests(SynchronousTestCase):
    """What is told, and what is kept of what the carrier tells."""

    def setUp(self) -> None:
        """Nothing is known."""
        self.security = MediaSecurity()

    def verified(self) -> list[str]:
        """What would be repeated."""
        return [value for name, value in self.security.requestHeaders() if name == "Security-Verify"]

    def test_first(self) -> None:
        """REGISTER says what we can do, other requests nothing."""
        self.assertEqual(self.security.requestHeaders(), ())
        told = self.security.told(REGISTER).headers
        client = ("Security-Client", "sdes-srtp;mediasec")
        self.assertEqual(list(told), [*REGISTER.headers, client, *REQUIRED])

    def test_learned(self) -> None:
        """RFC 3329 section 2.3.1: Security-Verify has the list as it came, in lines or with commas."""
        kept = ["msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp ; mediasec;q=0.5"]
        self.security.learn(answer(401, ", ".join(kept[:2]), kept[2]))
        self.assertEqual(self.verified(), kept)
        self.assertEqual(list(self.security.requestHeaders()[-2:]), REQUIRED)
        request = self.security.told(self.security.told(REGISTER))
        self.assertEqual(list(request.values("Security-Verify")), kept)
        self.assertEqual(request.values("Require"), ("mediasec",))

    def test_kept(self) -> None:
        """What says nothing changes nothing, but 494 without a list; another list replaces the first."""
        self.security.learn(answer(401, "sdes-srtp;mediasec"))
        self.security.learn(answer(200))
        self.assertEqual(self.verified(), ["sdes-srtp;mediasec"])
        self.security.learn(answer(494, "sdes-srtp;mediasec;q=0.1"))
        self.assertEqual(self.verified(), ["sdes-srtp;mediasec;q=0.1"])
        self.security.learn(answer(494))
        self.assertEqual(self.verified(), [])

    def test_others(self) -> None:
        """Mechanisms of the signalling are none of media; what cannot be read is not repeated."""
        self.security.learn(answer(401, "ipsec-3gpp;alg=a", "tls", ";mediasec", "sdes-srtp;mediasec;=", ""))
        self.assertEqual(self.verified(), [])
        self.security.learn(answer(401, 'sdes-srtp;mediasec;a="'))
        self.assertEqual(self.verified(), [])

    def test_many(self) -> None:
        """A list without end makes no request without end."""
        self.security.learn(answer(401, ", ".join(f"m{each};mediasec" for each in range(100))))
        self.assertEqual(len(self.verified()), MOST_MECHANISMS)
