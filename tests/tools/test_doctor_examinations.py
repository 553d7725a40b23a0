"""Examinations by themselves, for what the practice carrier cannot do: NAT, clocks, our own names, DNS."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import evolve
from twisted.internet import error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from skypetrunk.interfaces import CallEnded, MediaHost, MediaPath, Target
from skypetrunk.net.dns_records import Records
from skypetrunk.tools.doctor import clock, media, names, nat, own, reach, registering, walls
from skypetrunk.tools.doctor.finding import Finding, Severity, worst
from skypetrunk.tools.doctor.patient import Exchanged, Patient
from skypetrunk.tools.doctor.questions import Question, WatchedResolver
from skypetrunk.wire.address import TransportAddress
from skypetrunk.wire.message import Header, Request, responseTo
from tests.net.zone import ZoneResolver, silence
from tests.service.configurations import COMPLETE, ConfigurationTestCase, keyPEM, makeCertificate

NOW = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)


class Channel:
    """As much of a connection as is looked at."""

    localAddress = TransportAddress("TLS", "192.168.1.5", 40000)


class ExaminationCase(ConfigurationTestCase):
    """
    Has a patient.

    @ivar clock: its reactor, with a time only.
    """

    def patient(self, text: str = COMPLETE) -> Patient:
        """The trunk of a configuration, at L{NOW}."""
        self.clock = Clock()
        configuration, _ = self.load(text)
        return Patient(self.clock, configuration, configuration.trunks[0], now=lambda: NOW)

    def found(
        self, examination: Callable[[Patient], Awaitable[Sequence[Finding]]], patient: Patient
    ) -> Sequence[Finding]:
        """What C{examination} finds at once."""
        running: Deferred[Any] = ensureDeferred(examination(patient))  # type: ignore[arg-type]
        result: Sequence[Finding] = self.successResultOf(running)
        return result

    def exchanged(
        self,
        patient: Patient,
        method: str,
        via: str | None = None,
        contact: str | None = None,
        *extra: Header,
        statuses: Sequence[int] = (200,),
    ) -> None:
        """
        One request that was answered so.

        @param via: the Via of the answer; default: as it was sent.
        @param contact: the Contact of the answer.
        """
        sent = "SIP/2.0/TLS 192.168.1.5:40000;branch=z9hG4bK1;rport"
        request = Request(
            method,
            "sip:sip.skype.com",
            (
                Header("Via", sent),
                Header("From", "<sip:alice@sip.skype.com>;tag=1"),
                Header("To", "<sip:alice@sip.skype.com>"),
                Header("Call-ID", "1"),
                Header("CSeq", f"{1 + len(patient.asked(method))} {method}"),
                Header("Contact", "<sip:alice@192.168.1.5:40000;transport=tls>"),
            ),
        )
        channel: Any = Channel()
        patient.messages.append(Exchanged(True, request, channel, NOW))
        for status in statuses:
            response = responseTo(request, status, headers=extra, toTag="2")
            response = response.withHeader("Via", via or sent)
            if contact is not None:
                response = response.withHeader("Contact", contact)
            patient.messages.append(Exchanged(False, response, channel, NOW))


class NATTests(ExaminationCase):
    """What came back, compared with what was sent."""

    def one(self, patient: Patient) -> Finding:
        """The one finding."""
        (finding,) = self.found(nat.examine, patient)
        return finding

    def test_nothing(self) -> None:
        """Without an answer there is nothing to compare."""
        self.assertEqual(self.one(self.patient()).severity, Severity.SKIPPED)

    def test_unchanged(self) -> None:
        """A carrier that says nothing of where it sees us."""
        patient = self.patient()
        self.exchanged(patient, "OPTIONS")
        self.assertEqual(self.one(patient).severity, Severity.GREEN)

    def media(self, patient: Patient, *hosts: MediaHost) -> None:
        """Media is received there."""
        patient.trunk = evolve(patient.trunk, media=evolve(patient.trunk.media, path=MediaPath(hosts=hosts)))

    def test_outside(self) -> None:
        """It sees a public address, and is told another for audio: there will be none from it."""
        patient = self.patient()
        self.media(patient, MediaHost("192.168.1.5"))
        via = "SIP/2.0/TLS 192.168.1.5:40000;branch=z9hG4bK1;rport=6000;received=198.51.100.7"
        self.exchanged(patient, "OPTIONS", via)
        finding = self.one(patient)
        self.assertEqual(
            (finding.severity, finding.wanted, finding.seen), (Severity.RED, "198.51.100.7", "192.168.1.5")
        )
        self.assertIn('media.advertise = "198.51.100.7"', finding.setting)
        self.media(patient, MediaHost("2001:db8::1"), MediaHost("192.168.1.5", "198.51.100.7"))
        finding = self.one(patient)
        self.assertEqual(finding.severity, Severity.GREEN)
        self.assertIn("it is told to send sound to, too", finding.sentence)

    def test_garbage(self) -> None:
        """What is no address is none."""
        patient = self.patient()
        via = "SIP/2.0/TLS 192.168.1.5:40000;branch=z9hG4bK1;rport=6000;received=nowhere"
        self.exchanged(patient, "OPTIONS", via)
        self.assertEqual(self.one(patient).severity, Severity.GREEN)

    def test_rewritten(self) -> None:
        """A Via whose sent-by is another: something rewrites SIP."""
        patient = self.patient()
        via = "SIP/2.0/TLS 198.51.100.7:40000;branch=z9hG4bK1;rport"
        self.exchanged(patient, "OPTIONS", via)
        finding = self.one(patient)
        self.assertEqual(finding.severity, Severity.RED)
        self.assertIn("rewrites SIP", finding.sentence)
        self.assertIn("192.168.1.5", finding.wanted)
        self.assertIn("198.51.100.7", finding.seen)
        self.assertIn("ALG", finding.setting)

    def test_contact(self) -> None:
        """A registrar that lists somewhere else; one that lists us among others is right."""
        patient = self.patient()
        ours = "<sip:alice@192.168.1.5:40000;transport=tls>;expires=60"
        self.exchanged(patient, "REGISTER", None, f"<sip:alice@203.0.113.1:1>, {ours}")
        self.assertEqual(worst(self.found(nat.examine, patient)), Severity.GREEN)
        patient = self.patient()
        self.exchanged(patient, "REGISTER", None, "<sip:alice@203.0.113.1:1>")
        finding = self.found(nat.examine, patient)[-1]
        self.assertEqual((finding.severity, finding.setting), (Severity.AMBER, "trunk.skype.contact"))
        self.assertIn("203.0.113.1", finding.seen)


class RegisteringTests(ExaminationCase):
    """What is said of a REGISTER that came to nothing."""

    def said(self, problem: str, *, answered: bool) -> str:
        """The sentence, where the trunk has this problem."""
        patient = self.patient()
        self.exchanged(patient, "REGISTER")
        if not answered:
            patient.messages.pop()
        return registering._failed(patient, problem).sentence

    def test_ended(self) -> None:
        """The connection ended, however Twisted writes that: after a 200 nobody was refused."""
        for problem in ("tls:192.0.2.1: Connection was closed cleanly.", "the connection is lost: reset"):
            self.assertIn("closes the connection at REGISTER", self.said(problem, answered=False))
            self.assertIn("ends the connection at once", self.said(problem, answered=True))

    def test_silent(self) -> None:
        """Nobody answered."""
        self.assertIn("does not answer", self.said("the registrar does not answer", answered=False))

    def test_noTime(self) -> None:
        """A 200 that grants nothing is no refusal of the account."""
        self.assertIn("for no time at all", self.said("200 it granted 0 seconds", answered=True))


class UnreachedTests(ExaminationCase):
    """A target that takes no connection."""

    def test_silent(self) -> None:
        """Nobody answers: said so, in no words of Twisted's."""
        target = Target("192.0.2.10", 5061, "sip.skype.com")
        finding = reach.unreached(self.patient(), target, error.TimeoutError())
        self.assertIn("192.0.2.10:5061 does not answer at all", finding.sentence)
        self.assertEqual(finding.seen, "no answer")


class UnansweredTests(ExaminationCase):
    """A test call that came to nothing."""

    def test_why(self) -> None:
        """The carrier's own words count, not what a PBX is told for them; nor is all the carrier's."""
        for statuses, ended, sentence, setting in (
            ((407, 407), (503, "callee"), "does not accept user name and password", "password_file"),
            ((503,), (503, "callee"), "takes no more calls now", "limits.calls"),
            ((100, 404), (503, "callee"), "knows no number", "number_form"),
            ((100, 180), (487, "caller"), "was not answered", "another number"),
            ((), (487, "caller"), "does not answer the call at all", "at the carrier: may 99051"),
            ((), (503, "trunk"), "The trunk does not place the call: no ports.", ""),
        ):
            patient = self.patient()
            self.exchanged(patient, "INVITE", statuses=statuses)
            status, by = ended
            finding = media.unanswered(patient, "1", CallEnded("c", "no ports", status, by, 0.0))
            self.assertIn(sentence, finding.sentence)
            self.assertIn(setting, finding.setting)
            self.assertEqual(bool(finding.setting), bool(setting))

    def test_challenged(self) -> None:
        """
        Most carriers challenge each call: that is no answer to what was sent next, and the one who gives up
        does not wait for the last one.
        """
        for statuses in ((), (100, 180)):
            patient = self.patient()
            self.exchanged(patient, "INVITE", statuses=(407,))
            self.exchanged(patient, "INVITE", statuses=statuses)
            finding = media.unanswered(patient, "1", CallEnded("c", "hung up", 487, "caller", 0.0))
            self.assertEqual(finding.sentence, "1 was not answered: hung up.")


class ClockTests(ExaminationCase):
    """The Date of answers."""

    def date(self, text: str) -> Finding:
        """What is found of an answer with this Date."""
        patient = self.patient()
        self.exchanged(patient, "OPTIONS", None, None, Header("Date", text))
        (finding,) = self.found(clock.examine, patient)
        return finding

    def test_right(self) -> None:
        """Some seconds are nothing."""
        self.assertEqual(self.date("Sun, 01 Mar 2026 12:00:10 GMT").severity, Severity.GREEN)

    def test_off(self) -> None:
        """Minutes, hours and days, before and behind."""
        for text, words in (
            ("Sun, 01 Mar 2026 12:01:00 GMT", "60 s behind"),
            ("Sun, 01 Mar 2026 11:40:00 GMT", "20 min before"),
            ("Sun, 01 Mar 2026 09:00:00 GMT", "3 h before"),
            ("Fri, 01 May 2026 12:00:00 GMT", "61 days behind"),
        ):
            finding = self.date(text)
            self.assertEqual(finding.severity, Severity.AMBER, text)
            self.assertIn(words, finding.sentence)
            self.assertIn("NTP", finding.setting)

    def test_garbage(self) -> None:
        """A Date that is none is not looked at."""
        self.assertEqual(self.date("yesterday").severity, Severity.SKIPPED)


class OwnTests(ExaminationCase):
    """Our certificates and records."""

    def inbound(self, days: int, zone: dict[str, Any]) -> Sequence[Finding]:
        """
        A trunk that is called.

        @param days: until its certificate ends, from today.
        """
        certificate, key = makeCertificate("trunk.example.com", days=days)
        self.write("inbound.pem", certificate)
        self.write("inbound.key", keyPEM(key))
        patient = self.patient(
            COMPLETE.replace(
                "\n[[pbx]]",
                '\n[trunk.inbound]\nlisten = ["tls:192.0.2.1:5062"]\ncertificate = "inbound.pem"\n'
                'key = "inbound.key"\nname = "trunk.example.com"\n\n[[pbx]]',
            )
        )
        patient.now = lambda: datetime.datetime.now(datetime.UTC)
        patient.records = Records(ZoneResolver(zone), self.clock)
        return self.found(own.examine, patient)

    def test_none(self) -> None:
        """Nothing of ours."""
        (finding,) = self.found(own.examine, self.patient())
        self.assertEqual(finding.severity, Severity.SKIPPED)

    def test_good(self) -> None:
        """A certificate that holds, and a record that leads to us."""
        zone = {"_sips._tcp.trunk.example.com": [["SRV", 10, 10, 5062, "trunk.example.com"]]}
        self.assertEqual([each.severity for each in self.inbound(30, zone)], [Severity.GREEN] * 2)

    def test_unpublished(self) -> None:
        """No record, or one that leads to another port."""
        for zone in ({}, {"_sips._tcp.trunk.example.com": [["SRV", 10, 10, 5061, "trunk.example.com"]]}):
            finding = self.inbound(30, zone)[-1]
            self.assertEqual(finding.severity, Severity.RED)
            self.assertIn("SRV 10 10 5062 trunk.example.com.", finding.wanted)

    def test_certificate(self) -> None:
        """One that ends soon, and one that has ended."""
        for days, severity in ((5, Severity.AMBER), (-1, Severity.RED)):
            finding = self.inbound(days, {})[0]
            self.assertEqual(
                (finding.severity, finding.setting), (severity, "trunk.skype.inbound.certificate")
            )


class NamesTests(ExaminationCase):
    """DNS with doubts."""

    def found_(self, zone: dict[str, Any], **errors: Exception) -> tuple[Patient, Sequence[Finding]]:
        """What is found of a zone."""
        resolver = ZoneResolver(zone)
        resolver.ttl = 60
        resolver.errors = {name.replace("__", " "): each for name, each in errors.items()}
        self.patch(names, "buildResolver", lambda reactor, servers: resolver)
        patient = self.patient(COMPLETE.replace('profile = "skype-connect"', 'profile = "generic"'))
        return patient, self.found(names.examine, patient)

    def test_walk(self) -> None:
        """Every question is kept, with TTL and text."""
        patient, findings = self.found_(
            {
                "sip.skype.com": [["NAPTR", 10, 20, "s", "SIPS+D2T", "", "_sips._tcp.skype.com"]],
                "_sips._tcp.skype.com": [["SRV", 1, 2, 5061, "edge.skype.com"]],
                "edge.skype.com": [["A", "192.0.2.1"], ["AAAA", "2001:db8::1"]],
            }
        )
        self.assertEqual(worst(findings), Severity.GREEN)
        texts = [f"{each.kind} {answer.text}" for each in patient.questions for answer in each.answers]
        self.assertEqual(
            texts,
            [
                'NAPTR 10 20 "s" "SIPS+D2T" "" _sips._tcp.skype.com',
                "SRV 1 2 5061 edge.skype.com",
                "A 192.0.2.1",
                "AAAA 2001:db8::1",
            ],
        )
        self.assertEqual({answer.ttl for each in patient.questions for answer in each.answers}, {60})

    def test_oneWithout(self) -> None:
        """One of two servers has no address."""
        _, findings = self.found_(
            {
                "sip.skype.com": [],
                "_sips._tcp.sip.skype.com": [
                    ["SRV", 1, 2, 5061, "a.skype.com"],
                    ["SRV", 2, 2, 5061, "b.skype.com"],
                ],
                "a.skype.com": [["A", "192.0.2.1"]],
                "b.skype.com": [],
            }
        )
        (finding,) = (each for each in findings if each.severity is Severity.AMBER)
        self.assertEqual(finding.subject, "b.skype.com")

    def test_noNAPTR(self) -> None:
        """Name servers that do not tell NAPTR records."""
        zone = {
            "_sips._tcp.sip.skype.com": [["SRV", 1, 2, 5061, "a.skype.com"]],
            "a.skype.com": [["A", "192.0.2.1"]],
        }
        _, findings = self.found_(zone, **{"NAPTR__sip.skype.com": silence()})
        (finding,) = (each for each in findings if each.severity is Severity.AMBER)
        self.assertEqual((finding.subject, finding.seen), ("NAPTR sip.skype.com", "no answer"))
        self.assertIn("naptr of the profile", finding.setting)


class WatchedResolverTests(ExaminationCase):
    """The resolver that writes down."""

    def test_slow(self) -> None:
        """The time that an answer took is told with it."""
        told: list[Question] = []
        seconds = iter((1.0, 3.5))
        resolver = WatchedResolver(
            ZoneResolver({"a": [["A", "192.0.2.1"]]}), lambda: next(seconds), told.append
        )
        self.successResultOf(resolver.lookupAddress("a"))
        self.assertEqual((told[0].seconds, told[0].kind, told[0].name), (2.5, "A", "a"))


class WallTests(ExaminationCase):
    """The rules, and the addresses that are bound."""

    def test_untried(self) -> None:
        """Where nothing could be tried nothing is said to be well."""
        finding = self.found(walls.examine, self.patient())[0]
        self.assertEqual(finding.severity, Severity.SKIPPED)
        self.assertRegex(finding.sentence, r"^None of [0-9]+ rules that are needed was tried\.$")

    def test_elsewhere(self) -> None:
        """Media and PBX are received at addresses that are ours."""
        patient = self.patient()
        media = evolve(patient.configuration.media, hosts=(MediaHost("203.0.113.9"),))
        patient.configuration = evolve(patient.configuration, media=media)
        finding = self.found(walls.examine, patient)[-1]
        self.assertEqual((finding.severity, finding.setting), (Severity.RED, "media.address"))
        for table, key, setting in (
            ("[trunk.media]", "address", "trunk.skype.media.address"),
            ("[[pbx]]", "media_address", "pbx.office.media_address"),
        ):
            text = COMPLETE.replace(table, f'{table}\n{key} = "203.0.113.9"', 1)
            finding = self.found(walls.examine, self.patient(text))[-1]
            self.assertEqual((finding.severity, finding.setting), (Severity.RED, setting))
        text = COMPLETE.replace('"tcp:127.0.0.1:5060"', '"tcp:203.0.113.9:5060"')
        finding = self.found(walls.examine, self.patient(text))[-1]
        self.assertEqual((finding.severity, finding.setting), (Severity.RED, "pbx.office.listen"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            self.assertRaises(OSError, probe.bind, ("203.0.113.9", 0))
