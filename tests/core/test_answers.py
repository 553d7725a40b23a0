"""Tests of L{skypetrunk.core.answers}."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.answers import (
    LONGEST_PAUSE,
    NO_CIRCUIT,
    ROWS,
    Answer,
    Row,
    across,
    acrossStatus,
    causesOf,
    reasonHeader,
    reasonsAcross,
)
from skypetrunk.wire.message import Response, responseTo
from tests.core.callnet import SAVP, CallNet, sdp
from tests.core.messages import incoming

PAGE = Path(__file__).resolve().parents[2] / "docs" / "answers.rst"


def refusal(status: int, *headers: tuple[str, str]) -> Response:
    """A refusal of one leg."""
    return responseTo(incoming(), status, None, headers, toTag="far")


def ofTheWay(answer: Answer) -> bool:
    """Does it speak of the way, so that a PBX may try another one?"""
    return 500 <= answer.status < 600


def tableLines(row: Row) -> list[str]:
    """How the page shows a row."""
    causes = f" with cause {', '.join(map(str, row.causes))}" if row.causes else ""
    toPBX = {row.toPBX or status for status in row.statuses}
    return [
        f"   * - {row.meaning}",
        f"     - {', '.join(map(str, row.statuses))}{causes}",
        f"     - {row.toPBX or 'the same'}",
        f"     - {row.toCarrier or 'the same'}",
        f"     - {row.cause or ''}".rstrip(),
        f"     - {'**yes**' if min(toPBX) in range(500, 600) else 'no'}",
    ]


class AcrossTests(SynchronousTestCase):
    """What one leg's refusal is on the other."""

    def test_ofTheCallee(self) -> None:
        """Refusals that speak of the callee or of capacity stay what they are."""
        for status in (403, 404, 408, 410, 480, 484, 486, 488, 500, 503, 600, 603, 604, 606):
            for toPBX in (True, False):
                self.assertEqual(acrossStatus(status, toPBX), status)

    def test_ofOurRequest(self) -> None:
        """What was wrong with our own request, or the carrier's trust in us, is not the caller's fault."""
        for status in (400, 405, 414, 415, 416, 420, 421, 482, 483, 505, 513):
            self.assertEqual(acrossStatus(status), 502)
        for status in (401, 407):
            self.assertEqual(acrossStatus(status), 503)

    def test_ofAnotherDialog(self) -> None:
        """481 and 487 speak of a dialog and a transaction that the other side does not know."""
        self.assertEqual((acrossStatus(481), acrossStatus(487)), (480, 480))

    def test_redirection(self) -> None:
        """A redirection is not followed."""
        self.assertEqual({acrossStatus(status) for status in (300, 301, 302, 305, 380, 399)}, {480})

    def test_always(self) -> None:
        """Every final refusal becomes one, towards either side."""
        for status in range(300, 700):
            for toPBX in (True, False):
                self.assertIn(acrossStatus(status, toPBX), range(400, 700))

    def test_fallback(self) -> None:
        """A PBX takes its other way for no credit, congestion and no route; never for the callee's word."""
        for status, cause, wanted in (
            (486, None, False),
            (600, None, False),
            (480, None, False),
            (404, None, False),
            (403, None, False),
            (603, None, False),
            (607, None, False),
            (480, 18, False),
            (480, 34, True),
            (404, 1, False),
            (404, 3, True),
            (402, None, True),
            (407, None, True),
            (500, None, True),
            (503, None, True),
            (504, None, True),
        ):
            given = refusal(status, *([("Reason", f"Q.850;cause={cause}")] if cause else []))
            self.assertEqual(ofTheWay(across(status, given, True)), wanted, (status, cause))

    def test_rows(self) -> None:
        """A cause of our own stands only beside a status of our own; the callee's words are not changed."""
        for row in ROWS:
            for status in row.statuses:
                answer = across(status, refusal(status), True)
                if not row.causes:
                    self.assertEqual(answer.status, row.toPBX or status)
                    self.assertEqual(across(status, None, False).status, row.toCarrier or status)
                reasons = [header.value for header in answer.headers if header.name == "Reason"]
                if answer.status == status:
                    self.assertEqual(reasons, [])
                elif ofTheWay(answer):
                    self.assertRegex(reasons[0], r"^Q\.850;cause=(34|38)$")

    def test_once(self) -> None:
        """No status stands in two rows, but for those that ask for a cause, which come first."""
        plain = [status for row in ROWS if not row.causes for status in row.statuses]
        self.assertEqual(len(plain), len(set(plain)))
        asking = [bool(row.causes) for row in ROWS]
        self.assertEqual(asking, sorted(asking, reverse=True))

    def test_page(self) -> None:
        """docs/answers.rst shows this table, all of it and nothing else."""
        lines = PAGE.read_text("utf-8").splitlines()
        start = lines.index("   * - What it means")
        shown = []
        for line in lines[start + 6 :]:
            if not re.match(r"   \* - |     -", line):
                break
            shown.append(line)
        self.assertEqual(shown, [line for row in ROWS for line in tableLines(row)])


class ReasonTests(SynchronousTestCase):
    """RFC 3326: the cause crosses, in both directions, and no free text."""

    def test_peerCause(self) -> None:
        """The first Q.850 cause, in any spelling and place."""
        for value, wanted in (
            ("Q.850;cause=17", [17]),
            ('q.850 ; cause=21 ; text="host 10.0.0.1, ask Bob"', [21]),
            ('SIP;cause=600;text="x", Q.850;text="a;cause=3";cause=18', [18]),
            ("Q.850;cause=16, Q.850;cause=17", [16, 17]),
            ("SIP;cause=200", []),
            ("Q.850;cause=0", []),
            ("Q.850;cause=128", []),
            ("Q.850;cause=9999999999", []),
            ("Q.850;cause=x", []),
            ("Q.850", []),
            ('Q.850;cause=1;text="', []),
            ("", []),
        ):
            given = refusal(486, ("Reason", value))
            self.assertEqual(list(causesOf(given)), wanted, value)
            crossing = [("Reason", f"Q.850;cause={wanted[0]}")] if wanted else []
            self.assertEqual(list(reasonsAcross(given)), crossing)
            for toPBX in (True, False):
                self.assertEqual(list(across(486, given, toPBX).headers), crossing)

    def test_ours(self) -> None:
        """Where the status is ours the cause is too: with 21 a PBX would give up."""
        given = refusal(402, ("Reason", "Q.850;cause=21"))
        self.assertEqual(list(across(402, given, True).headers), [("Reason", "Q.850;cause=34")])

    def test_reason(self) -> None:
        """Whatever the text holds stays within its quotes."""
        header = reasonHeader(NO_CIRCUIT, "no circuit")
        self.assertEqual(header, ("Reason", 'Q.850;cause=34;text="no circuit"'))
        header = reasonHeader(21, 'a "quoted\\ text\r\nEvil: 1')
        self.assertEqual(header.value, 'Q.850;cause=21;text="a \\"quoted\\\\ text Evil: 1"')

    @settings(deadline=None)
    @given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))
    def test_anything(self, text: str) -> None:
        """Whatever a peer writes, what crosses is a cause or nothing."""
        for header in across(480, refusal(480, ("Reason", f"Q.850;cause={text}")), True).headers:
            self.assertRegex(header.value, r"^Q\.850;cause=[0-9]{1,3}$")


class RetryAfterTests(SynchronousTestCase):
    """Retry-After, RFC 3261 section 20.33."""

    def test_kept(self) -> None:
        """Seconds beside 480, 486 and 503, without comment and parameters; a pause of everything is short."""
        for status, value, wanted in (
            (480, "120 (in a meeting);duration=60", "120"),
            (486, "18000;duration=3600", "18000"),
            (503, "30", "30"),
            (503, "86400", str(LONGEST_PAUSE)),
            (500, "5", "5"),
            (503, "9" * 5000, str(LONGEST_PAUSE)),
            (480, "99999999999999", "999999999"),
            (480, "00000000000120", "120"),
            (480, "soon", None),
            (480, "-1", None),
            (484, "10", None),
            (400, "10", None),
            (402, "10", None),
        ):
            for toPBX in (True, False):
                headers = dict(across(status, refusal(status, ("Retry-After", value)), toPBX).headers)
                self.assertEqual(headers.get("Retry-After"), wanted, (status, value))


class CallTests(SynchronousTestCase):
    """In calls."""

    def test_toPBX(self) -> None:
        """A refusal of the carrier brings cause and pause to the PBX."""
        net = CallNet()
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        headers = [("Reason", 'Q.850;cause=17;text="marker"'), ("Retry-After", "9")]
        net.carrier.answers(net.carrier.request("INVITE"), 486, headers=headers)
        answer = net.pbx.response(486)
        self.assertEqual((answer.header("Reason"), answer.header("Retry-After")), ("Q.850;cause=17", "9"))

    def test_toCarrier(self) -> None:
        """A refusal of the PBX brings them to the carrier."""
        net = CallNet()
        net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", sdp(SAVP, "203.0.113.9"))
        headers = [("Reason", 'Q.850;cause=19;text="marker"')]
        net.pbx.answers(net.pbx.request("INVITE"), 480, headers=headers)
        self.assertEqual(net.carrier.response(480).header("Reason"), "Q.850;cause=19")

    def test_nextTrunk(self) -> None:
        """What would send the PBX elsewhere sends the call to the next trunk first; nothing else does."""
        for status, headers, wanted in (
            (503, [], True),
            (500, [], True),
            (402, [], True),
            (404, [("Reason", "Q.850;cause=3")], True),
            (404, [], False),
            (486, [], False),
            (603, [], False),
        ):
            net = CallNet(second=True)
            assert net.second is not None
            net.pbx.invite("sip:+4420@198.51.100.1", sdp())
            net.carrier.answers(net.carrier.request("INVITE"), status, headers=headers)
            self.assertEqual(net.second.got(), ["INVITE"] if wanted else [], status)

    def test_bye(self) -> None:
        """The cause in a BYE crosses in both directions."""
        net = CallNet()
        near, far = net.outboundCall()
        net.carrier.back(far, "BYE", 5)
        self.assertIsNone(net.pbx.request("BYE").header("Reason"))
        reason = 'Q.850;cause=31;text="marker"'
        for neighbour, other in ((net.pbx, net.carrier), (net.carrier, net.pbx)):
            near, far = net.outboundCall()
            neighbour.twist = lambda message: message.withHeader("Reason", reason).encode()
            if neighbour is net.pbx:
                neighbour.within(near, net.pbx.response(200), "BYE", 2)
            else:
                neighbour.back(far, "BYE", 5)
            neighbour.twist = None
            self.assertEqual(other.request("BYE").header("Reason"), "Q.850;cause=31")

    def test_cancel(self) -> None:
        """What a CANCEL says crosses, too, and that somebody else has answered (RFC 3326 section 3.1)."""
        elsewhere = 'SIP;cause=200;text="Call completed elsewhere"'
        for reason, wanted in (
            ("", []),
            ('Q.850;cause=26;text="marker"', ["Q.850;cause=26"]),
            ('SIP ;cause=200 ;text="marker", Q.850;cause=26', ["Q.850;cause=26", elsewhere]),
            ("SIP;cause=200", [elsewhere]),
            ("SIP;cause=487, X;cause=200", []),
            ('SIP;cause=200;text="', []),
        ):
            for inbound in (False, True):
                net = CallNet()
                caller, callee = (net.carrier, net.pbx) if inbound else (net.pbx, net.carrier)
                uri = "sip:account@198.51.100.2:40000" if inbound else "sip:+4420@198.51.100.1"
                near = caller.invite(uri, sdp(SAVP, "203.0.113.9") if inbound else sdp())
                far = callee.request("INVITE")
                callee.answers(far, 180)
                if reason:
                    caller.twist = lambda message, reason=reason: (
                        message.withHeader("Reason", reason).encode()
                    )
                caller.cancel(near)
                caller.twist = None
                self.assertEqual(caller.got()[-2:], [200, 487])
                cancel = callee.request("CANCEL")
                self.assertEqual(list(cancel.values("Reason")), wanted, reason)

    def test_cancelOfAChange(self) -> None:
        """What was said of a re-INVITE that is taken back is not said of the call when that ends later."""
        net = CallNet()
        near, far = net.outboundCall()
        accepted = net.pbx.response(200)
        again = net.pbx.within(near, accepted, "INVITE", 2, sdp(version=2))
        net.carrier.answers(net.carrier.request("INVITE"), 180)
        net.pbx.twist = lambda message: message.withHeader("Reason", "SIP;cause=200").encode()
        net.pbx.cancel(again)
        net.pbx.twist = None
        net.carrier.answers(net.carrier.request("CANCEL"), 200)
        net.carrier.answers(net.carrier.request("INVITE"), 487)
        net.pbx.ackRefusal(487)
        net.carrier.got()
        net.pbx.within(near, accepted, "INVITE", 3, sdp(version=3))
        net.carrier.answers(net.carrier.request("INVITE"), 200, sdp(SAVP, "203.0.113.9", 3))
        # No ACK ever comes, which ends the call (RFC 3261 section 13.3.1.4).
        net.clock.pump([0.5] * 64)
        self.assertIsNone(net.carrier.request("BYE").header("Reason"))
