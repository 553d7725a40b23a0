"""The report of the demonstration, and above all when it says no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.lab.audio import ToneReport
from skypetrunk.net.handshake import NOT_IN_VERSION, HandshakeStep
from skypetrunk.tools.evidence import CallEvidence, Evidence, Heard, problems
from skypetrunk.tools.report import report, verdict
from skypetrunk.tools.terminal import Style
from tests.tools.demo_evidence import NOW, SUITE, call, direction, evidence, handshake, leg


def _row(*figures: int) -> str:
    """Figures below their headings."""
    return "{:15}{:15}{:9}{:6}{:16}{:15}".format(*figures)


class VerdictTests(SynchronousTestCase):
    """Good evidence is good; each part that is missing is told by a sentence of its own."""

    def refused(self, spoiled: CallEvidence, *texts: str) -> None:
        """Evidence with this call says C{texts}, and nothing else."""
        found = evidence(calls=(spoiled, call("Call in")))
        self.assertEqual(list(problems(found)), [f"Call out: {text}" for text in texts])
        lines = list(verdict(found, Style()))
        self.assertTrue(lines and lines[0].startswith("! Call out: "), lines)
        self.assertNotIn("verified", "\n".join(lines))

    def test_good(self) -> None:
        """Two calls, four tones, and all packets of both directions and calls."""
        self.assertEqual(list(problems(evidence())), [])
        self.assertEqual(
            list(verdict(evidence(), Style())),
            [
                "+ 2 calls verified: 4 of 4 tones recognised at their far ends;",
                "  all 808 media packets that arrived on the carrier's side were authenticated SRTP.",
            ],
        )

    def test_toneMissing(self) -> None:
        """A tone that was not heard, and one that was heard among another."""
        good = call().heard
        silent = Heard(True, ToneReport(450, 200, 0, 0, None), Path("x.wav"))
        self.refused(
            call(heard=(silent, good[1])),
            "the tone of 450 Hz was not recognised at the carrier: it is in 0 of 200 frames.",
        )
        mixed = Heard(False, ToneReport(650, 200, 190, 10, 0), Path("x.wav"))
        self.refused(
            call(heard=(good[0], mixed)),
            "the tone of 650 Hz was not recognised at the PBX: it is in 190 of 200 frames, "
            "10 with another tone.",
        )

    def test_recordingMissing(self) -> None:
        """Each direction must have been recorded."""
        self.refused(call(heard=call().heard[:1]), "not both directions were recorded.")

    def test_refusedAtCarrier(self) -> None:
        """The carrier counts a packet that it could not authenticate."""
        carrier = replace(leg(203, 202), received=direction(203, refused=(("authentication", 2),)))
        self.refused(
            call(carrier=carrier), "the carrier refused 2 packets of the trunk (2 for authentication)."
        )

    def test_refusedAtTrunk(self) -> None:
        """The trunk does."""
        trunk = replace(leg(201, 203), received=direction(201, refused=(("malformed", 1), ("replay", 3))))
        self.refused(
            call(trunk=(trunk,)),
            "the trunk refused 4 packets of the carrier (1 for malformed, 3 for replay).",
        )

    def test_clearPackets(self) -> None:
        """Packets that were sent and not protected, whatever became of them."""
        trunk = replace(leg(201, 203), sent=replace(direction(203), authenticated=200))
        self.refused(call(trunk=(trunk,)), "the trunk sent 3 media packets without SRTP.")

    def test_silence(self) -> None:
        """No packet at all proves nothing."""
        self.refused(
            call(trunk=(leg(0, 203),), carrier=leg(203, 0)), "the trunk received no authenticated packet."
        )

    def test_plain(self) -> None:
        """A call without SRTP, at either end."""
        text = "there was no SRTP on the carrier's side."
        self.refused(call(trunk=(leg(200, 200, secure=False),)), text)
        found = evidence(calls=(call(carrier=leg(203, 202, secure=False)),))
        self.assertEqual(problems(found)[0], f"Call out: {text}")

    def test_suites(self) -> None:
        """Both ends must mean the same suite."""
        carrier = replace(leg(203, 202), suite="AES_CM_128_HMAC_SHA1_32")
        self.refused(
            call(carrier=carrier), f"the ends name different suites, {SUITE} and AES_CM_128_HMAC_SHA1_32."
        )

    def test_callFailed(self) -> None:
        """A call that did not come about says only why."""
        self.refused(
            CallEvidence("Call out", problem="it was not answered: 486 Busy Here"),
            "it was not answered: 486 Busy Here.",
        )

    def test_others(self) -> None:
        """No proof, no call, an error in the log."""
        self.assertEqual(
            list(
                problems(
                    evidence(
                        handshake=replace(handshake(), proof=None), calls=(), unforeseen=("division by zero",)
                    )
                )
            ),
            [
                "Nothing proved that the peer is sip.skype.com.",
                "There was no call.",
                "An error was logged: division by zero (in demo.log)",
            ],
        )


class ReportTests(SynchronousTestCase):
    """What is printed."""

    def lines(self, found: Evidence) -> list[str]:
        """The report without colours."""
        return list(report(found, Style(), NOW))

    def test_steps(self) -> None:
        """All 15 steps by number; the time of a flight stands once, at its first step."""
        lines = self.lines(evidence())
        steps = lines[1:16]
        self.assertEqual([int(line[:4]) for line in steps], list(range(1, 16)))
        self.assertTrue(all(" seen" in line for line in steps))
        self.assertEqual(sum("flight 2" in line for line in steps), 5)
        self.assertEqual(
            [line[:4].strip() for line in steps if "complete after" in line], ["1", "2", "7", "12"]
        )
        self.assertTrue(steps[14].endswith("after 9.0 ms"), steps[14])

    def test_stepNotThere(self) -> None:
        """A step that was not seen has its reason and no time."""
        record = handshake()
        steps = list(record.steps)
        steps[4] = HandshakeStep(5, "Server Key Exchange", NOT_IN_VERSION)
        lines = self.lines(evidence(handshake=replace(record, steps=tuple(steps))))
        self.assertEqual(lines[5], "   5  < Server Key Exchange          not in TLS 1.3")

    def test_verified(self) -> None:
        """What was wanted, what was seen, and what it was held against."""
        text = "\n".join(self.lines(evidence()))
        for fact in (
            "wanted      sip.skype.com",
            "names seen  URI sip:sip.skype.com, DNS sip.skype.com",
            "proved by   URI sip:sip.skype.com",
            "issuer      CN=lab",
            "roots       ca.pem",
            "pinned      sha256/AAAA",
            "revoked     good, says the OCSP responder",
            "expires     2030-01-08 00:00 UTC, in 7 days",
        ):
            self.assertIn(f"\n  {fact}", text)

    def test_call(self) -> None:
        """The suite, both directions counted at both ends, and the tones with their recordings."""
        lines = self.lines(evidence())
        start = lines.index("Call out")
        self.assertEqual(
            lines[start : start + 11],
            [
                "Call out",
                "  lasted 4.0 s, ended by the caller",
                f"  carrier's side: SRTP {SUITE}, keys by SDES over TLS",
                " " * 25 + "protected  authenticated  refused  lost  RTCP protected  authenticated",
                "    trunk > carrier" + _row(203, 203, 0, 0, 1, 1),
                "    carrier > trunk" + _row(202, 201, 0, 0, 1, 1),
                "    1 sent behind the last that was read: the call was over",
                "  PBX's side:     plain RTP; 200 packets received, 0 lost, 201 sent",
                "  tones recognised at their far ends, in frames of 20 ms:",
                "    + PBX > carrier   450 Hz in 199 of 200 frames (100.0 %)  at-450.wav",
                "    + carrier > PBX   650 Hz in 199 of 200 frames (100.0 %)  at-650.wav",
            ],
        )

    def test_longPath(self) -> None:
        """A path that does not fit stands whole in a line of its own."""
        path = Path("/" + "d" * 80 + "/call.wav")
        found = call(heard=(replace(call().heard[0], recording=path), call().heard[1]))
        lines = self.lines(evidence(calls=(found, call())))
        self.assertIn(f"      {path}", lines)

    def test_width(self) -> None:
        """Nothing is wider than 100 columns, also where it is refused with many words."""
        failed = CallEvidence("Call out", problem="it was not answered: " + "very " * 40 + "long")
        for found in (evidence(), evidence(calls=(failed, call("Call in")))):
            wide = [line for line in self.lines(found) if len(line) > 100]
            self.assertEqual(wide, [])

    def test_colour(self) -> None:
        """Colours only where they are asked for."""
        self.assertNotIn("\x1b", "\n".join(self.lines(evidence())))
        self.assertIn("\x1b[32m", "\n".join(report(evidence(), Style(colour=True), NOW)))
