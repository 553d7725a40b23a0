"""The carrier profiles that come with the package, and how a file becomes one."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk import profiles
from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import ICarrierProfile
from skypetrunk.profiles import DEFAULT_SUITES, CarrierProfile, loadProfile, profileNames, readProfile
from skypetrunk.wire.sdes import SUITES

PROFILES = Path(profiles.__file__).parent


class PackagedTests(SynchronousTestCase):
    """Those that come with the package."""

    def test_all(self) -> None:
        """Each can be read and is a carrier profile."""
        names = ("generic", "skype-connect", "teams-direct-routing", "telekom-companyflex")
        self.assertEqual(profileNames(), (*names, "telnyx", "twilio", "vonage"))
        for name in profileNames():
            profile = loadProfile(name)
            self.assertTrue(verifyObject(ICarrierProfile, profile))
            self.assertEqual(profile.name, name)

    def test_skypeConnect(self) -> None:
        """The facts of the datasheet and the support pages."""
        profile = loadProfile("skype-connect")
        self.assertEqual(profile.domain, "sip.skype.com")
        self.assertTrue(profile.register)
        self.assertTrue(profile.staticRSA)
        self.assertFalse(profile.wildcards)
        self.assertEqual(profile.suites, ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"))
        self.assertEqual((profile.calledFrom, profile.fromUser, profile.numberForm), ("to", "account", "00"))
        self.assertEqual(profile.calls, 300)
        self.assertEqual((profile.anonymous, profile.callerHeader), ("account", "none"))

    def test_roots(self) -> None:
        """The roots that come with it are VeriSign's, each a root, each still valid when this was written."""
        path = loadProfile("skype-connect").caFile
        assert path is not None
        roots = x509.load_pem_x509_certificates(path.read_bytes())
        self.assertEqual(len(roots), 4)
        for root in roots:
            self.assertEqual(root.subject, root.issuer)
            self.assertIn("VeriSign", root.subject.rfc4514_string())

    def test_generic(self) -> None:
        """A carrier of today: no weak ciphers, no wildcards, no domain of its own."""
        profile = loadProfile("generic")
        self.assertEqual((profile.domain, profile.caFile, profile.calls), (None, None, None))
        self.assertFalse(profile.staticRSA or profile.wildcards)

    def test_sources(self) -> None:
        """Each value stands under a comment that says where it comes from."""
        for name in profileNames():
            explained = False
            for line in (PROFILES / f"{name}.toml").read_text("utf-8").splitlines():
                if line.startswith("#"):
                    explained = True
                elif not line:
                    explained = False
                elif re.match(r"[a-z_]+ = ", line) and not line.startswith(("title", "notice")):
                    self.assertTrue(explained, f"{name}: {line}")

    def test_tried(self) -> None:
        """Each says that it was not tried with its carrier."""
        for name in set(profileNames()) - {"generic", "skype-connect"}:
            self.assertIn("not tried with", loadProfile(name).notice or "")

    def test_teams(self) -> None:
        """Three names in their order, each its own proof; a certificate and a host name of ours."""
        profile = loadProfile("teams-direct-routing")
        names = [f"sip{number}.pstnhub.microsoft.com" for number in ("", "2", "3")]
        self.assertEqual(profile.servers, tuple((each, 5061) for each in names))
        self.assertEqual((profile.domain, *profile.targetNames), tuple(names))
        self.assertTrue(profile.clientCertificate and profile.ownName)
        self.assertEqual(profile.optionsInterval, 60)

    def test_unknownName(self) -> None:
        """A name that does not exist, with the nearest that does."""
        for name, right in (
            ("skype", 'did you mean "skype-connect"?'),
            ("../generic", 'did you mean "generic"?'),
            ("xyz", f"would be right: {' or '.join(profileNames())}"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                loadProfile(name)
            self.assertEqual(caught.exception.problems, (f'profile: there is no "{name}"; {right}',))


class ReadTests(SynchronousTestCase):
    """L{readProfile}."""

    def read(self, text: str) -> CarrierProfile:
        """The profile that C{text} is."""
        path = Path(self.mktemp())
        path.write_text(text)
        return readProfile(path, "mine.toml")

    def problems(self, text: str) -> tuple[str, ...]:
        """What is wrong with C{text}."""
        with self.assertRaises(ConfigurationError) as caught:
            self.read(text)
        problems: tuple[str, ...] = caught.exception.problems
        return problems

    def test_defaults(self) -> None:
        """Only the title is needed; everything else is the safe choice."""
        profile = self.read('title = "Mine"')
        self.assertEqual(profile.suites, DEFAULT_SUITES)
        self.assertEqual((profile.register, profile.expires), (True, 3600))
        self.assertFalse(profile.staticRSA or profile.wildcards)

    def test_options(self) -> None:
        """Where nothing is registered OPTIONS show that it lives, unless the profile says otherwise."""
        for text, seconds in (
            ("", 0),
            ("register = false", 60),
            ("register = false\noptions_interval = 0", 0),
            ("options_interval = 30", 30),
        ):
            self.assertEqual(self.read(f'title = "A"\n{text}').optionsInterval, seconds)
        self.assertIn("0 to 3600", self.problems('title = "A"\noptions_interval = -1')[0])

    def test_sessionTimer(self) -> None:
        """What RFC 4028 recommends, or what the carrier wants; never less than the smallest."""
        for text, seconds in (("", (1800, 90)), ("session_expires = 900\nmin_se = 900", (900, 900))):
            profile = self.read(f'title = "A"\n{text}')
            self.assertEqual((profile.sessionExpires, profile.leastExpires), seconds)
        (problem,) = self.problems('title = "A"\nsession_expires = 600\nmin_se = 900')
        self.assertIn("session_expires: is 600; would be right: 900 (min_se) or more", problem)
        self.assertIn("90 to 86400", self.problems('title = "A"\nmin_se = 60')[0])

    def test_targetNames(self) -> None:
        """Names of hosts, folded; nothing as wide as a top-level domain, no address, no star elsewhere."""
        self.assertEqual(self.read('title = "A"').targetNames, ())
        text = 'title = "A"\ntarget_names = ["Edge.carrier.example", "*.edge.example"]'
        self.assertEqual(self.read(text).targetNames, ("edge.carrier.example", "*.edge.example"))
        wrong = (
            "*.example",
            "example",
            "*",
            "a.*.example",
            "192.0.2.1",
            "sip:a.example",
            "a..example",
            "*.*.a.b",
        )
        for name in wrong:
            (problem,) = self.problems(f'title = "A"\ntarget_names = ["{name}"]')
            self.assertIn(f'target_names: "{name}" is no name of hosts; would be right: "edge', problem)

    def test_suites(self) -> None:
        """Each suite known may be allowed, in any order; without a word it is the two that every peer has."""
        names = list(SUITES)[::-1]
        self.assertEqual(self.read(f'title = "T"\nsuites = {names}').suites, tuple(names))
        self.assertEqual(
            self.read('title = "T"').suites, ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
        )

    def test_codecs(self) -> None:
        """Names in any case, as they are registered; without a word any codec may cross."""
        self.assertEqual(self.read('title = "T"\ncodecs = ["pcma", "OPUS"]').codecs, ("PCMA", "opus"))
        self.assertEqual(self.read('title = "T"').codecs, ())

    def test_failover(self) -> None:
        """How long a server has, and what sends a call to the next."""
        profile = self.read('title = "T"')
        self.assertEqual((profile.connectTimeout, profile.handshakeTimeout, profile.inviteTimeout), (2, 3, 4))
        self.assertEqual(profile.failover, ())
        text = "tcp_timeout = 5\ntls_timeout = 6\ninvite_timeout = 7\nfailover = [408, 480, 504]"
        profile = self.read(f'title = "T"\n{text}')
        self.assertEqual((profile.connectTimeout, profile.handshakeTimeout, profile.inviteTimeout), (5, 6, 7))
        self.assertEqual(profile.failover, (408, 480, 504))
        for right in (404, 486, 603, 200):
            (problem,) = self.problems(f'title = "T"\nfailover = [{right}]')
            self.assertIn(f"failover: holds {right}; would be right: 408, 480 or 500 to 599", problem)
        (problem,) = self.problems('title = "T"\nfailover = ["504"]')
        self.assertIn("failover: holds a text; would be right: failover = [408, 504]", problem)

    def test_servers(self) -> None:
        """Names of hosts, in order, 5061 where no port is named."""
        self.assertEqual(self.read('title = "A"').servers, ())
        profile = self.read('title = "A"\nservers = ["b.Carrier.example", "a.carrier.example:7443"]')
        self.assertEqual(profile.servers, (("b.carrier.example", 5061), ("a.carrier.example", 7443)))
        wrong = ("*.a.example", "example", "a.b:", "a.b:0", "a.b:65536", "192.0.2.1", "a.b:1:")
        for text in wrong:
            (problem,) = self.problems(f'title = "A"\nservers = ["{text}"]')
            self.assertIn(f'servers: "{text}" is no server; would be right: "sip.carrier.example"', problem)

    def test_uriParameters(self) -> None:
        """With or without a value; none that would change where a call goes, or how."""
        profile = self.read('title = "A"\nuri_parameters = ["transport=tls", "x"]')
        self.assertEqual(str(profile.uriParameters), ";transport=tls;x")
        wrong = ("", "a b", "a=b;c", "maddr=a", "LR", "user=phone", "transport=udp", "transport", "=a")
        for text in wrong:
            (problem,) = self.problems(f'title = "A"\nuri_parameters = ["{text}"]')
            self.assertIn("uri_parameters: ", problem)

    def test_mediasec(self) -> None:
        """It is agreed by REGISTER, and needs that."""
        self.assertTrue(self.read('title = "A"\nmediasec = true').mediasec)
        (problem,) = self.problems('title = "A"\nmediasec = true\nregister = false')
        self.assertIn("mediasec: is true, but register is false", problem)
        (problem,) = self.problems('title = "A"\nmediasec = true\nkeys = "mikey"')
        self.assertIn('mediasec: is true, but keys is "mikey"', problem)

    def test_symmetricRTP(self) -> None:
        """Ours go where the carrier's come from, unless that is said not to be so."""
        self.assertTrue(self.read('title = "A"').symmetricRTP)
        self.assertFalse(self.read('title = "A"\nsymmetric_rtp = false').symmetricRTP)

    def test_problems(self) -> None:
        """All at once, with what would be right."""
        self.assertEqual(
            self.problems(""),
            ('mine.toml: title: is missing; would be right: title = "What people call this carrier"',),
        )
        self.assertEqual(
            self.problems(
                'title = "Mine"\nregister = 1\nexpires = 5\nsuites = []\ncalled_from = "From"\n'
                'number_form = "pluss"\nwildcard = true\n'
            ),
            (
                "mine.toml: register: is a whole number; would be right: true or false",
                "mine.toml: expires: is 5; would be right: 60 to 86400",
                'mine.toml: suites: is empty; would be right: suites = ["AES_CM_128_HMAC_SHA1_80"]',
                'mine.toml: called_from: is "From"; would be right: request-uri or to or p-called-party-id',
                'mine.toml: number_form: is "pluss"; did you mean "plus"?',
                'mine.toml: wildcard: is not known; did you mean "wildcards"?',
            ),
        )

    def test_roots(self) -> None:
        """C{ca_file} is looked for beside the profile."""
        problems = self.problems('title = "Mine"\nca_file = "none.pem"')
        self.assertEqual(len(problems), 1)
        self.assertIn("mine.toml: ca_file: there is no file ", problems[0])

    def test_identity(self) -> None:
        """Who calls, and how numbers are written; a header that must show the caller has to be named."""
        profile = self.read(
            'title = "A"\ncaller_form = "plus"\ninbound_form = "bare"\ncaller_from = "remote-party-id"\n'
            'caller_header = "p-asserted-identity"\nanonymous = "asserted"\ndiversion = "history-info"\n'
        )
        self.assertEqual((profile.callerForm, profile.inboundForm), ("plus", "bare"))
        self.assertEqual(profile.callerFrom, "remote-party-id")
        self.assertEqual(profile.callerHeader, "p-asserted-identity")
        self.assertEqual((profile.anonymous, profile.diversion), ("asserted", "history-info"))
        with self.assertRaises(ConfigurationError) as caught:
            self.read('title = "A"\nanonymous = "asserted"\ncaller_header = "from"\n')
        self.assertEqual(len(caught.exception.problems), 2)
        self.assertIn('caller_header is "none"', "".join(caught.exception.problems))
