"""The configuration file as a whole: what is accepted, and what is said about the rest."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from skypetrunk.errors import ConfigurationError
from skypetrunk.interfaces import MediaHost, MediaPath
from skypetrunk.profiles import loadProfile
from skypetrunk.service.config import (
    DNS,
    DSCP,
    Configuration,
    Control,
    Limits,
    MediaConfiguration,
    Numbers,
    PBXConfiguration,
    Route,
    TLSConfiguration,
    TrunkConfiguration,
    TrunkMedia,
    loadConfiguration,
)
from skypetrunk.service.settings import TrunkDNS
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.secret import Secret
from tests.service.configurations import COMPLETE, MARKER, SHORT, ConfigurationTestCase

_SECURE = "AES_CM_128_HMAC_SHA1_80"

_MORE = """
[[pbx]]
name = "branch"
listen = ["tcp:[::1]:5062"]
address = "tcp:[::1]:5070"
options_unusable = 480
emergency_status = 404
caller_from = "p-asserted-identity"
number_form = "00"

[[trunk]]
name = "second"
profile = "generic"
domain = "SIP.Second.Example."
username = "bob"
password_file = "skype.secret"
targets = ["192.0.2.10", "[2001:db8::1]:5071", "a.example:443"]

[[route]]
from = "office"
to = ["second", "carrier"]

[[route]]
from = "branch"
to = ["carrier"]

[[route]]
from = "carrier"
to = ["branch", "office"]

[[route]]
from = "second"
to = ["office"]
"""


class AcceptedTests(ConfigurationTestCase):
    """What a right file becomes."""

    def test_complete(self) -> None:
        """Every key has its place, paths are absolute, and there is nothing to warn of."""
        configuration, warnings = self.load(COMPLETE)
        profile = loadProfile("skype-connect")
        path = MediaPath(hosts=(MediaHost("127.0.0.1"),))
        self.assertEqual(
            configuration,
            Configuration(
                trunks=(
                    TrunkConfiguration(
                        name="skype",
                        profile=profile,
                        domain="sip.skype.com",
                        username="99051000000001",
                        password=Secret(MARKER),
                        targets=(),
                        tls=TLSConfiguration(self.directory / "carrier-ca.pem", (), None, None, None),
                        media=TrunkMedia((_SECURE, "AES_CM_128_HMAC_SHA1_32"), path),
                        limits=Limits(30),
                        passwordFile=self.directory / "skype.secret",
                        dns=TrunkDNS(naptr=False),
                    ),
                ),
                pbxes=(
                    PBXConfiguration(
                        name="office",
                        listen=(
                            TransportAddress("UDP", "127.0.0.1", 5060),
                            TransportAddress("TCP", "127.0.0.1", 5060),
                        ),
                        address=TransportAddress("UDP", "127.0.0.1", 5070),
                        allow=(ip_network("127.0.0.0/8"),),
                        mediaPath=path,
                    ),
                ),
                routes=(Route("office", ("skype",), ("+44", "+49")), Route("skype", ("office",))),
                media=MediaConfiguration((MediaHost("127.0.0.1"),), (20000, 29999)),
                dns=DNS((("127.0.0.1", 5353),)),
                numbers=Numbers("GB", "9", ("117",)),
                control=Control(self.directory / "skypetrunk.sock"),
                path=self.directory / "trunk.toml",
            ),
        )
        self.assertEqual(warnings, ())
        self.assertNotIn(MARKER, repr(configuration))

    def test_redirection(self) -> None:
        """What is followed, and which hosts it may name, in the form in which they are compared."""
        text = COMPLETE.replace("[trunk.tls]", 'redirect = "pass"\n[trunk.tls]', 1)
        hosts = 'redirect = "follow"\nredirect_allow = ["GW.Carrier.Example.", "2001:DB8::0:1"]\n'
        text = text.replace("[[route]]", f"{hosts}[[route]]", 1)
        configuration, warnings = self.load(text)
        self.assertEqual(warnings, ())
        (trunk,), (pbx,) = configuration.trunks, configuration.pbxes
        self.assertEqual((trunk.redirect, trunk.redirectAllow), ("pass", frozenset()))
        self.assertEqual(pbx.redirect, "follow")
        self.assertEqual(pbx.redirectAllow, {"gw.carrier.example", "2001:db8::1"})

    def test_mediaHelper(self) -> None:
        """It is used unless that is forbidden."""
        self.assertTrue(self.load(COMPLETE)[0].media.helper)
        configuration, _ = self.load(COMPLETE.replace("[media]", "[media]\nhelper = false", 1))
        self.assertFalse(configuration.media.helper)

    def test_mediaPath(self) -> None:
        """From where audio may come, and where ours goes."""
        text = COMPLETE.replace(
            "[[route]]", 'media_allow = ["192.0.2.64/26"]\nsymmetric_rtp = false\n[[route]]', 1
        )
        configuration, _ = self.load(text.replace("[trunk.media]", "[trunk.media]\nsymmetric_rtp = false", 1))
        hosts = (MediaHost("127.0.0.1"),)
        self.assertEqual(
            configuration.pbxes[0].mediaPath,
            MediaPath(hosts, (ip_network("192.0.2.64/26"),), symmetric=False),
        )
        self.assertEqual(configuration.trunks[0].media.path, MediaPath(hosts, symmetric=False))
        problems = self.problems(
            COMPLETE.replace("[[route]]", 'media_allow = ["192.0.2.1/24"]\n[[route]]', 1)
        )
        self.assertEqual(
            problems, ['pbx.office.media_allow: "192.0.2.1/24" is no network; did you mean "192.0.2.0/24"?']
        )

    def test_multicast(self) -> None:
        """One group; who may call may speak in it, unless others are named."""
        text = COMPLETE.replace("[[route]]", 'multicast = "239.1.2.3"\n[[route]]', 1)
        path = self.load(text)[0].pbxes[0].mediaPath
        self.assertEqual((path.group, path.allow), ("239.1.2.3", (ip_network("127.0.0.0/8"),)))
        path = (
            self.load(text.replace("multicast", 'media_allow = ["192.0.2.5"]\nmulticast', 1))[0]
            .pbxes[0]
            .mediaPath
        )
        self.assertEqual(path.allow, (ip_network("192.0.2.5"),))
        path = self.load(text.replace("239.1.2.3", "FF15:0::0101"))[0].pbxes[0].mediaPath
        self.assertEqual(path.group, "ff15::101")
        for wrong in ("192.0.2.1", "2001:db8::1", "ff02::1%eth0", "group.example"):
            (problem,) = self.problems(text.replace("239.1.2.3", wrong))
            self.assertIn(f'multicast: "{wrong}" is no multicast group; would be right: ', problem)

    def test_silence(self) -> None:
        """How long nothing may come from a side, and from both."""
        configuration, _ = self.load(COMPLETE)
        sides = configuration.trunks[0].media.silence, configuration.pbxes[0].mediaSilence
        self.assertEqual((configuration.media.silence, sides), (600, (0, 0)))
        text = COMPLETE.replace("[trunk.media]", "[trunk.media]\nsilence = 60", 1)
        configuration, _ = self.load(text.replace("[[route]]", "media_silence = 30\n[[route]]", 1))
        sides = configuration.trunks[0].media.silence, configuration.pbxes[0].mediaSilence
        self.assertEqual(sides, (60, 30))

    def test_marks(self) -> None:
        """DSCP of what we send."""
        self.assertEqual(self.load(COMPLETE)[0].dscp, DSCP(46, 24))
        configuration, _ = self.load(COMPLETE + "\n[dscp]\nmedia = 0\nsignalling = 40\n")
        self.assertEqual(configuration.dscp, DSCP(0, 40))
        (problem,) = self.problems(COMPLETE + "\n[dscp]\nmedia = 184\n")
        self.assertEqual(problem, "dscp.media: is 184; would be right: 0 to 63")

    def test_mediaAddresses(self) -> None:
        """One of each IP version, for all or for one; the PBX gets that of its signalling first."""
        both = 'address = ["2001:db8::1", "192.0.2.1"]\nadvertise = "203.0.113.7"'
        text = COMPLETE.replace('address = "127.0.0.1"', both, 1)
        configuration, _ = self.load(text)
        hosts = MediaHost("2001:db8::1"), MediaHost("192.0.2.1", "203.0.113.7")
        self.assertEqual(configuration.media.hosts, hosts)
        self.assertEqual(configuration.trunks[0].media.path.hosts, hosts)
        self.assertEqual(configuration.pbxes[0].mediaPath.hosts, hosts[::-1])
        text = text.replace(
            "[trunk.media]", '[trunk.media]\naddress = "192.0.2.9"\nadvertise = "203.0.113.9"', 1
        )
        text = text.replace("[[route]]", 'media_address = ["2001:db8::5", "192.0.2.5"]\n[[route]]', 1)
        configuration, _ = self.load(text)
        self.assertEqual(configuration.media.hosts, hosts)
        self.assertEqual(configuration.trunks[0].media.path.hosts, (MediaHost("192.0.2.9", "203.0.113.9"),))
        self.assertEqual(
            configuration.pbxes[0].mediaPath.hosts, (MediaHost("2001:db8::5"), MediaHost("192.0.2.5"))
        )

    def test_badMediaAddresses(self) -> None:
        """Two of a version, one that is shown and not there, and what is none."""
        for old, new, problem in (
            (
                'address = "127.0.0.1"',
                'address = ["127.0.0.1", "192.0.2.1"]',
                'media.address: "192.0.2.1" is IPv4, as "127.0.0.1" is; would be right: one of each',
            ),
            (
                'address = "127.0.0.1"',
                'address = "127.0.0.1"\nadvertise = ["2001:db8::1"]',
                'media.advertise: "2001:db8::1" is IPv6; would be right: address of IPv6 beside it',
            ),
            (
                "[trunk.media]",
                '[trunk.media]\nadvertise = "192.0.2.9"',
                'trunk.skype.media.advertise: "192.0.2.9" is IPv4; would be right: address of IPv4 beside it',
            ),
            (
                'address = "127.0.0.1"',
                "address = []",
                'media.address: is empty; would be right: address = "192.0.2.1"',
            ),
        ):
            self.assertIn(old, COMPLETE)
            self.assertEqual(self.problems(COMPLETE.replace(old, new, 1)), [problem])
        text = COMPLETE.replace("[trunk.media]", '[trunk.media]\naddress = "127.0.0.2"', 1)
        text = text.replace('"udp:127.0.0.1:5060"', '"udp:127.0.0.2:20010", "udp:127.0.0.1:5060"', 1)
        (problem,) = self.problems(text)
        self.assertIn('"udp:127.0.0.2:20010" lies among the media ports', problem)

    def test_transfer(self) -> None:
        """What becomes of a REFER."""
        configuration, _ = self.load(SHORT)
        self.assertEqual(configuration.trunks[0].transfer, "take-over")
        configuration, _ = self.load(SHORT.replace("[[trunk]]", '[[trunk]]\ntransfer = "pass"'))
        self.assertEqual(configuration.trunks[0].transfer, "pass")
        self.assertIn("transfer", str(self.problems(SHORT.replace("[[trunk]]", '[[trunk]]\ntransfer = "x"'))))

    def test_contact(self) -> None:
        """Which of our addresses the carrier is told."""
        for text, wanted in (
            (None, (None, True)),
            ("learned", (None, True)),
            ("local", (None, False)),
            ("sbc.example.com", (("sbc.example.com", 5061), False)),
            ("[2001:db8::7]:5071", (("2001:db8::7", 5071), False)),
        ):
            line = "" if text is None else f'contact = "{text}"'
            configuration, _ = self.load(SHORT.replace("[[trunk]]", f"[[trunk]]\n{line}"))
            trunk = configuration.trunks[0]
            self.assertEqual((trunk.contact, trunk.contactLearned), wanted)
        self.assertProblem(
            "[[trunk]]",
            '[[trunk]]\ncontact = "sip:a.example"',
            'trunk.skype.contact: "sip:a.example" is no address; would be right: "learned", "local" or '
            '"sbc.example.com:5061"',
        )

    def test_redirectionNotUsed(self) -> None:
        """Hosts that nothing reads are a warning."""
        _, warnings = self.load(SHORT.replace("[[pbx]]", '[[pbx]]\nredirect_allow = ["192.0.2.7"]'))
        self.assertEqual(len(warnings), 1)
        self.assertIn('office.redirect_allow: is not used: redirect is not "follow"', warnings[0])

    def test_redirectionWrong(self) -> None:
        """What is said about mistakes."""
        hosts = '[[pbx]]\nredirect = "folow"\nredirect_allow = ["192.0.2.300", "a.example:5060"]'
        problems = self.problems(SHORT.replace("[[pbx]]", hosts))
        self.assertEqual(len(problems), 3)
        self.assertIn("pbx.office.redirect: ", problems[0])
        self.assertIn('pbx.office.redirect_allow: "192.0.2.300" is no host', problems[1])
        self.assertIn('pbx.office.redirect_allow: "a.example:5060" is no host', problems[2])

    def test_dns(self) -> None:
        """Where the records of a trunk are; what cannot count is told."""
        keys = 'srv = "_SIPS._tcp.other.example."\nfamilies = ["ipv6"]\nnaptr = true'
        configuration, warnings = self.load(f"{SHORT}\n[trunk.dns]\n{keys}")
        names = TrunkDNS(srv="_sips._tcp.other.example", naptr=True, families=("ipv6",))
        self.assertEqual((configuration.trunks[0].dns, warnings), (names, ()))
        keys += '\ndomain = "other.example"'
        text = SHORT.replace("username", 'targets = ["192.0.2.10"]\nusername', 1)
        _, warnings = self.load(f"{text}\n[trunk.dns]\n{keys}")
        self.assertEqual(
            [each.partition("dns.")[2] for each in warnings],
            [
                "domain: does not count: targets stand instead of DNS",
                "srv: does not count: targets stand instead of DNS",
                "domain: does not count: srv is asked alone",
            ],
        )

    def test_dnsWrong(self) -> None:
        """Names that are none, and families that are none."""
        keys = 'srv = "_sips..example"\nfamilies = ["ipv4", "ipv5"]\ndomain = "a b"\nnaptr = 1'
        problems = self.problems(f"{SHORT}\n[trunk.dns]\n{keys}")
        self.assertEqual(
            sorted(each.partition("dns.")[2] for each in problems),
            [
                'domain: "a b" is no domain name; would be right: domain = "other.example"',
                'families: "ipv5" is not known; did you mean "ipv6"?',
                "naptr: is a whole number; would be right: true or false",
                'srv: "_sips..example" is no domain name; would be right: srv = "_sips._tcp.other.example"',
            ],
        )
        self.assertIn("families: is empty", self.problems(f"{SHORT}\n[trunk.dns]\nfamilies = []")[0])

    def test_short(self) -> None:
        """The routes of one trunk and one PBX are implied; the rest has safe defaults."""
        configuration, warnings = self.load(SHORT)
        self.assertEqual(warnings, ())
        self.assertEqual(configuration.routes, (Route("office", ("carrier",)), Route("carrier", ("office",))))
        (trunk,) = configuration.trunks
        self.assertEqual(trunk.media.path.srtp, "required")
        self.assertEqual(trunk.media.suites, loadProfile("generic").suites)
        self.assertEqual(trunk.media.codecs, ())
        self.assertEqual(trunk.tls, TLSConfiguration(None, (), None, None, None))
        self.assertEqual(trunk.limits, Limits(None))
        (pbx,) = configuration.pbxes
        self.assertEqual(pbx.allow, (ip_network("192.0.2.5/32"),))
        self.assertEqual((pbx.optionsUnusable, pbx.emergencyStatus), (503, 503))
        self.assertEqual(configuration.media.ports, (20000, 29999))
        self.assertEqual((configuration.dns, configuration.control), (DNS(), Control()))

    def test_t38(self) -> None:
        """It is refused unless the trunk lets it pass, which is warned of."""
        for key, policy, warned in (
            ("", "refuse", False),
            ('t38 = "refuse"', "refuse", False),
            ('t38 = "pass"', "pass", True),
        ):
            configuration, warnings = self.load(SHORT.replace("[[pbx]]", f"[trunk.media]\n{key}\n[[pbx]]"))
            self.assertEqual(configuration.trunks[0].media.t38, policy)
            told = [each.partition("media.t38: ")[2] for each in warnings]
            self.assertEqual(told, ["is pass: faxes by T.38 are in clear"] if warned else [])
        self.assertProblem(
            'srtp = "required"',
            'srtp = "required"\nt38 = "passs"',
            'trunk.skype.media.t38: is "passs"; did you mean "pass"?',
        )

    def test_clearMedia(self) -> None:
        """Less than SRTP is warned of, whoever has said so, and is no match for what the carrier is told."""
        (self.directory / "other.toml").write_text('title = "Other"\nsrtp = "off"\n')
        (self.directory / "told.toml").write_text('title = "Told"\nmediasec = true\n')
        either, off = "is opportunistic: calls may be in clear", "is off: calls of this trunk are in clear"
        for profile, key, mode, warned in (
            ("generic", "", "required", None),
            ("generic", 'srtp = "opportunistic"', "opportunistic", either),
            ("generic", 'srtp = "off"', "off", off),
            ("other.toml", "", "off", off),
            ("other.toml", 'srtp = "required"', "required", None),
            ("told.toml", 'srtp = "opportunistic"', "opportunistic", either),
        ):
            text = SHORT.replace('"generic"', f'"{profile}"')
            configuration, warnings = self.load(text.replace("[[pbx]]", f"[trunk.media]\n{key}\n[[pbx]]"))
            self.assertEqual(configuration.trunks[0].media.path.srtp, mode)
            told = [each.partition("media.srtp: ")[2] for each in warnings]
            self.assertEqual(told, [warned] if warned else [])
        text = SHORT.replace('"generic"', '"told.toml"')
        (problem,) = self.problems(text.replace("[[pbx]]", '[trunk.media]\nsrtp = "off"\n[[pbx]]'))
        self.assertIn("media.srtp: is off, but Told is told of SRTP; would be right: required", problem)

    def test_profileDefaults(self) -> None:
        """Domain, roots and the bound of calls come from the profile."""
        text = SHORT.replace('"generic"', '"skype-connect"').replace('domain = "sip.carrier.example"\n', "")
        (trunk,) = self.load(text)[0].trunks
        profile = loadProfile("skype-connect")
        self.assertEqual(trunk.domain, "sip.skype.com")
        self.assertEqual(trunk.tls.caFile, profile.caFile)
        self.assertEqual(trunk.limits.calls, 300)

    def test_ownProfile(self) -> None:
        """A profile may be a file beside the configuration."""
        self.write("mine.toml", 'title = "Mine"\ndomain = "sip.mine.example"\nregister = false\n')
        text = SHORT.replace('"generic"', '"mine.toml"').replace('domain = "sip.carrier.example"\n', "")
        text = text.replace('password_file = "skype.secret"\n', "")
        (trunk,) = self.load(text)[0].trunks
        self.assertEqual(
            (trunk.profile.name, trunk.domain, trunk.password), ("mine", "sip.mine.example", None)
        )

    def test_several(self) -> None:
        """Several trunks and PBXes, IPv6, targets, settings."""
        configuration, warnings = self.load(SHORT + _MORE)
        self.assertEqual(warnings, ())
        self.assertEqual(configuration.trunks[1].domain, "sip.second.example")
        self.assertEqual(
            configuration.trunks[1].targets, (("192.0.2.10", 5061), ("2001:db8::1", 5071), ("a.example", 443))
        )
        branch = configuration.pbxes[1]
        self.assertEqual(branch.listen, (TransportAddress("TCP", "::1", 5062),))
        self.assertEqual(branch.allow, (ip_network("::1/128"),))
        self.assertEqual((branch.optionsUnusable, branch.emergencyStatus), (480, 404))
        self.assertEqual((branch.callerFrom, branch.numberForm), ("p-asserted-identity", "00"))
        self.assertEqual(configuration.routes[0], Route("office", ("second", "carrier")))


    def test_oneAccount(self) -> None:
        """Two trunks that register one account: each would lose its registration to the other."""
        same = _MORE.replace("SIP.Second.Example.", "SIP.Carrier.Example.").replace("bob", "alice")
        _, warnings = self.load(SHORT + same)
        self.assertEqual(len(warnings), 1)
        self.assertIn("trunk.second.username: is that of trunk.carrier too: one may take", warnings[0])


class FileTests(ConfigurationTestCase):
    """The file itself."""

    def test_missing(self) -> None:
        """A file that is not there, and a device that never ends."""
        advice = "; skypetrunk init writes one, --config names another"
        for path, why in (
            (self.directory / "none.toml", f"No such file or directory{advice}"),
            (Path("/dev/zero"), "File too large"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                loadConfiguration(path, {})
            self.assertEqual(caught.exception.problems, (f"{path}: cannot be read: {why}",))

    def test_notTOML(self) -> None:
        """A mistake of form says line and column."""
        for value, said in (
            ("skype", "Invalid value (at line 2, column 8); text stands in quotes"),
            ('"skype', "Illegal character '\\n' (at line 2, column 14); text stands in quotes"),
            ('"skype"\nname = "a"', "Cannot overwrite a value (at line 3, column 11)"),
        ):
            self.assertEqual(self.problems(f"[[trunk]]\nname = {value}\n"), [f"is not TOML: {said}"])

    def test_fromWindows(self) -> None:
        """A byte order mark and Windows' line ends mean nothing."""
        text = COMPLETE.replace("\n", "\r\n")
        self.assertEqual(self.problems("\ufeff" + text + "x = 1\r\n"), self.problems(text + "x = 1\r\n"))

    def test_notText(self) -> None:
        """Octets that are no UTF-8."""
        path = self.write("trunk.toml", b"\xff\xfe")
        with self.assertRaises(ConfigurationError) as caught:
            loadConfiguration(path, {})
        self.assertEqual(caught.exception.problems, (f"{path}: is not UTF-8 text",))

    def test_empty(self) -> None:
        """All that is needed is asked for at once."""
        self.assertEqual(
            [problem.split(";")[0] for problem in self.problems("")],
            [
                "trunk: is missing",
                "pbx: is missing",
                "media.address: is missing",
                "numbers.country: is missing",
            ],
        )


class ProblemTests(ConfigurationTestCase):
    """Each mistake has its line: key, what is wrong, what would be right."""

    def test_allAtOnce(self) -> None:
        """Many mistakes are told together."""
        text = COMPLETE
        for old, new in (
            ('profile = "skype-connect"', 'profile = "skype-conect"'),
            ("ca_file =", "cafile ="),
            ("calls = 30", 'calls = "30"'),
            ('to = ["skype"]', 'to = ["skipe"]'),
            ("20000-29999", "20001-29999"),
            ('country = "GB"', 'country = "gb"'),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        self.assertEqual(
            self.problems(text),
            [
                'trunk.skype.profile: there is no "skype-conect"; did you mean "skype-connect"?',
                "trunk.skype.limits.calls: is a text; would be right: a whole number from 1 to 100000",
                'route[1].to: there is no trunk or pbx "skipe"; did you mean "skype"?',
                'media.ports: "20001-29999" does not hold whole pairs, an even port and the odd one '
                "after it; "
                'did you mean "20000-29999"?',
                'numbers.country: "gb" is no country; did you mean "GB"?',
                'trunk.skype.tls.cafile: is not known; did you mean "ca_file"?',
            ],
        )

    def test_unknownKeys(self) -> None:
        """At the top, in a table, in one too many levels, and nothing like any."""
        self.assertProblem("[control]", "[contrl]", 'contrl: is not known; did you mean "control"?')
        self.assertProblem(
            "listen =",
            "lisen =",
            *[
                'pbx.office.listen: is missing; would be right: listen = ["udp:192.0.2.1:5060"]',
                'pbx.office.lisen: is not known; did you mean "listen"?',
            ],
        )
        self.assertProblem(
            'username = "99051000000001"',
            'username = "99051000000001"\nca_file = "carrier-ca.pem"',
            'trunk.skype.ca_file: is not known; did you mean "tls.ca_file"?',
        )
        for name, known in (("outbound_proxy", "targets"), ("port", "targets"), ("secret", "password_file")):
            self.assertProblem(
                'username = "99051000000001"',
                f'username = "99051000000001"\n{name} = "x"',
                f'trunk.skype.{name}: is not known; did you mean "{known}"?',
            )
        self.assertProblem(
            "[dns]",
            "[dns]\nzzz = 1",
            "dns.zzz: is not known; would be right: servers",
        )

    def test_wrongTypes(self) -> None:
        """The types of TOML in words, without the value."""
        for new, kind in (
            ("1", "a whole number"),
            ("true", "true or false"),
            ("1.5", "a fraction"),
            ("[]", "a list"),
            ("{}", "a table"),
            ("1979-05-27", "a date or time"),
            ('""', "empty"),
        ):
            self.assertProblem(
                'username = "99051000000001"',
                f"username = {new}",
                f'trunk.skype.username: is {kind}; would be right: username = "account"',
            )
        self.assertProblem(
            "calls = 30",
            "calls = true",
            "trunk.skype.limits.calls: is true or false; would be right: a whole number from 1 to 100000",
        )
        self.assertProblem(
            "pins = []",
            "pins = [1]",
            'trunk.skype.tls.pins: holds a whole number; would be right: pins = ["sha256/BASE64"]',
        )
        self.assertEqual(
            self.problems("dns = 5\n" + SHORT), ["dns: is a whole number; would be right: [dns]"]
        )
        self.assertEqual(
            self.problems("route = [1]\n" + SHORT), ["route: holds a whole number; would be right: [[route]]"]
        )

    def test_oneBracket(self) -> None:
        """C{[trunk]} instead of C{[[trunk]]}."""
        self.assertEqual(
            self.problems(SHORT.replace("[[trunk]]", "[trunk]")),
            ["trunk: is a table; would be right: [[trunk]], with two brackets on each side"],
        )

    def test_names(self) -> None:
        """Names are unique over trunks and PBXes, and plain."""
        self.assertProblem(
            'name = "office"',
            'name = "carrier"',
            'pbx.carrier.name: "carrier" is taken by trunk.carrier; would be right: another name',
            base=SHORT,
        )
        self.assertProblem(
            'name = "office"',
            'name = "the office"',
            'pbx.the office.name: is "the office"; '
            'would be right: name = "office", with letters, digits, ".", "_" and "-"',
            base=SHORT,
        )
        self.assertProblem(
            'name = "office"', "", 'pbx[1].name: is missing; would be right: name = "office"', base=SHORT
        )

    def test_trunk(self) -> None:
        """Domain, user name, targets, media, limits."""
        self.assertProblem(
            'domain = "sip.carrier.example"\n',
            "",
            'trunk.carrier.domain: is missing; would be right: domain = "sip.carrier.example"',
            base=SHORT,
        )
        for domain in ("sip:carrier.example", "carrier.example:5061", "192.0.2.1", "-a.example", "a..b"):
            self.assertProblem(
                "sip.carrier.example",
                domain,
                f'trunk.carrier.domain: "{domain}" is no domain name; would be right: the name that the '
                "carrier's certificate proves, without sip: and port",
                base=SHORT,
            )
        self.assertProblem(
            "sip.carrier.example",
            "sip.bücher.example",
            'trunk.carrier.domain: "sip.bücher.example" is no domain name; '
            "would be right: its ASCII form, xn--...",
            base=SHORT,
        )
        self.assertProblem(
            '"alice"',
            '"sip:alice@carrier.example"',
            'trunk.carrier.username: is "sip:alice@carrier.example"; would be right: the account alone, '
            "without sip: and @domain",
            base=SHORT,
        )
        for target in (
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "[192.0.2.1]:5061",
            "192.0.2.300",
            "tls:a:5061",
            ":5061",
        ):
            self.assertProblem(
                'username = "alice"',
                f'username = "alice"\ntargets = ["{target}"]',
                f'trunk.carrier.targets: "{target}" is no target; would be right: "192.0.2.10:5061" '
                'or "[2001:db8::1]:5061"',
                base=SHORT,
            )
        self.assertProblem(
            'srtp = "required"',
            'srtp = "optional"',
            'trunk.skype.media.srtp: is "optional"; would be right: required or opportunistic or off',
        )
        self.assertProblem(
            '"AES_CM_128_HMAC_SHA1_80", ',
            '"AES_CM_128_HMAC_SHA1_81", ',
            'trunk.skype.media.suites: "AES_CM_128_HMAC_SHA1_81" is not known; '
            'did you mean "AES_CM_128_HMAC_SHA1_80"?',
        )
        self.assertProblem(
            '"AES_CM_128_HMAC_SHA1_80", ',
            '"AES_CM_128_HMAC_SHA1_32", ',
            "trunk.skype.media.suites: names a suite twice; would be right: each once",
        )
        for codecs, problem in (
            ('["PMCA"]', '"PMCA" is not known; did you mean "PCMA"?'),
            ('["ulaw"]', '"ulaw" is not known; did you mean "PCMU"?'),
            ('["G711"]', '"G711" is not known; did you mean "PCMA" or "PCMU"?'),
            ('["PCMA", "pcma"]', "names a codec twice; would be right: each once"),
            ('["CN"]', '"CN" is no codec; would be right: nothing: it goes with every codec'),
            (
                "[]",
                'is empty; would be right: codecs = ["PCMA", "PCMU"], '
                "or no such key: then every codec may cross",
            ),
        ):
            self.assertProblem(
                'srtp = "required"',
                f'srtp = "required"\ncodecs = {codecs}',
                f"trunk.skype.media.codecs: {problem}",
            )
        self.assertProblem(
            "calls = 30", "calls = 0", "trunk.skype.limits.calls: is 0; would be right: 1 to 100000"
        )

    def test_ownProfile(self) -> None:
        """The problems of a profile of one's own stand with the others."""
        path = self.write("mine.toml", "regster = true\n")
        with self.assertRaises(ConfigurationError) as caught:
            self.load(SHORT.replace('"generic"', '"mine.toml"'))
        self.assertEqual(
            caught.exception.problems,
            (
                f'{path}: title: is missing; would be right: title = "What people call this carrier"',
                f'{path}: regster: is not known; did you mean "register"?',
            ),
        )

    def test_pbx(self) -> None:
        """Listen addresses are literal; the PBX can be called from one of them."""
        for address, wrong in (
            ("udp:localhost:5060", '"udp:localhost:5060" is no literal address with a port'),
            ("udp:127.0.0.1", '"udp:127.0.0.1" is no address'),
            ("udp:127.0.0.1:0", '"udp:127.0.0.1:0" is no literal address with a port'),
            ("127.0.0.1:5060", '"127.0.0.1:5060" is no address'),
            ("ws:192.0.2.1:5060", '"ws:192.0.2.1:5060" is no address'),
        ):
            self.assertProblem(
                '"udp:192.0.2.1:5060"',
                f'"{address}"',
                f'pbx.office.listen: {wrong}; would be right: "udp:192.0.2.1:5060", with a literal address',
                base=SHORT,
            )
        self.assertProblem(
            '"udp:192.0.2.1:5060"',
            '"udp:0.0.0.0:5060"',
            'pbx.office.listen: "0.0.0.0" stands for every address; '
            "would be right: one of them, which others can be told",
            base=SHORT,
        )
        for address, kind in (
            ("tcp:192.0.2.5:5060", "tcp address with IPv4"),
            ("udp:[::1]:5060", "udp address with IPv6"),
        ):
            self.assertProblem(
                '"udp:192.0.2.5:5060"',
                f'"{address}"',
                f'pbx.office.address: "{address}" cannot be reached: listen has no {kind}; '
                "would be right: one in listen too",
                base=SHORT,
            )
        self.assertProblem(
            '"udp:192.0.2.5:5060"',
            '"udp:192.0.2.1:5060"',
            'pbx.office.address: "udp:192.0.2.1:5060" is our own; would be right: where the PBX listens',
            base=SHORT,
        )
        self.assertProblem(
            '"127.0.0.0/8"',
            '"127.0.0.1/8"',
            'pbx.office.allow: "127.0.0.1/8" is no network; did you mean "127.0.0.0/8"?',
            'pbx.office.allow: lets nobody call; would be right: allow = ["127.0.0.1"]',
        )
        self.assertProblem(
            '["127.0.0.0/8"]',
            "[]",
            'pbx.office.allow: lets nobody call; would be right: allow = ["127.0.0.1"]',
        )
        self.assertProblem(
            '"tcp:127.0.0.1:5060"',
            '"udp:127.0.0.1:5060"',
            'pbx.office.listen: "udp:127.0.0.1:5060" stands in pbx.office.listen already; '
            "would be right: another port",
        )
        self.assertProblem(
            '"udp:127.0.0.1:5060"',
            '"udp:127.0.0.1:20060"',
            'pbx.office.listen: "udp:127.0.0.1:20060" lies among the media ports; '
            "would be right: outside 20000-29999",
        )

    def test_media(self) -> None:
        """Addresses are literal, ports come in pairs."""
        for key in ('address = "192.0.2.1"', 'address = "192.0.2.1"\nadvertise = "trunk.example"'):
            text = (
                key.replace('address = "192.0.2.1"', 'address = "trunk.example"') if "\n" not in key else key
            )
            name = "advertise" if "\n" in key else "address"
            example = "203.0.113.7" if "\n" in key else "192.0.2.1"
            self.assertProblem(
                'address = "192.0.2.1"',
                text,
                f'media.{name}: "trunk.example" is no literal address; would be right: {name} = "{example}"',
                base=SHORT,
            )
        for ports, wrong in (
            ("many", '"many" is no range; would be right: ports = "20000-29999"'),
            (
                "80-1000",
                '"80-1000" does not go up between 1024 and 65535; would be right: ports = "20000-29999"',
            ),
            (
                "3000-2000",
                '"3000-2000" does not go up between 1024 and 65535; would be right: ports = "20000-29999"',
            ),
            (
                "20000-20001",
                '"20000-20001" has less than the two pairs of one call; '
                'would be right: ports = "20000-29999"',
            ),
        ):
            self.assertProblem("20000-29999", ports, f"media.ports: {wrong}")

    def test_dnsNumbersControl(self) -> None:
        """The small tables."""
        self.assertProblem(
            '"127.0.0.1:5353"',
            '"ns.example"',
            'dns.servers: "ns.example" is no literal address; '
            'would be right: "192.0.2.53" or "192.0.2.53:5353"',
        )
        self.assertProblem(
            'country = "GB"',
            'country = "Britain"',
            'numbers.country: "Britain" is no country; '
            'would be right: country = "GB", the two letters of where '
            "the PBX stands (they decide its emergency numbers)",
        )
        self.assertProblem(
            'outside_line = "9"',
            'outside_line = "nine"',
            'numbers.outside_line: is "nine"; would be right: digits, as in outside_line = "9"',
        )
        self.assertProblem(
            '["117"]',
            '["police"]',
            'numbers.emergency: "police" is no number; would be right: digits as dialled, "117"',
        )
        self.assertProblem(
            '"skypetrunk.sock"',
            '"none/skypetrunk.sock"',
            "control.socket: there is no directory none; would be right: a path in one that exists",
        )
        self.assertIn("is too long", self.problems(COMPLETE.replace("skypetrunk.sock", "s" * 108))[0])
