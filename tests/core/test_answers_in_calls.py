"""
The table of C{docs/answers.rst}, row by row, in calls of the PBX and of the carrier: each status and cause is
answered by one side, and what the page says is what the other side gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tests.core.callnet import SAVP, CallNet, Neighbour, sdp
from tests.core.test_answers import PAGE

CROSSING = 16
"""A cause that no row asks for."""


class Line(NamedTuple):
    """A row of the page; texts as they stand there."""

    meaning: str
    statuses: str
    toPBX: str
    toCarrier: str
    cause: str
    another: str

    @property
    def cases(self) -> Iterator[tuple[int, int]]:
        """Each status that the row is for, with each cause."""
        statuses, _, causes = self.statuses.partition(" with cause ")
        for status in statuses.split(", "):
            for cause in causes.split(", ") if causes else [CROSSING]:
                yield int(status), int(cause)


def table() -> list[Line]:
    """The page's rows, in order."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = lines.index("   * - What it means") + 6
    cells = []
    for line in lines[start:]:
        if not re.match(r"   \* - |     -", line):
            break
        cells.append(line[7:].strip())
    return [Line(*cells[first : first + 6]) for first in range(0, len(cells), 6)]


def pauses() -> tuple[set[int], int]:
    """Of the page: the statuses beside which Retry-After crosses, and how many seconds beside 503 at most."""
    text = " ".join(PAGE.read_text("utf-8").split())
    beside = re.search(r"Crosses beside ([0-9, and]+) that stay what they are", text)
    most = re.search(r"Beside 503 it is at most ([0-9]+)", text)
    assert beside is not None and most is not None
    return {int(each) for each in re.findall("[0-9]+", beside[1])}, int(most[1])


class TableTests(SynchronousTestCase):
    """Every row, both ways."""

    def refuses(self, callee: Neighbour, status: int, cause: int) -> None:
        """It rings, and then there is this."""
        invite = callee.request("INVITE")
        headers = [("Reason", f'Q.850;cause={cause};text="marker"'), ("Retry-After", "86400 (marker)")]
        if status < 400:
            headers.append(("Contact", f"<sip:marker@{callee.host}>"))
        callee.answers(invite, 180)
        callee.answers(invite, status, headers=headers)

    def assertTold(self, caller: Neighbour, line: Line, case: tuple[int, int], told: str) -> None:
        """What the page says, and nothing else, came to the caller."""
        status, cause = case
        wanted = status if told == "the same" else int(told)
        self.assertEqual(caller.channel.summary()[-1], wanted, (line, case))
        answer = caller.response(wanted)
        self.assertEqual(answer.header("Reason"), f"Q.850;cause={line.cause or cause}", (line, case))
        crossing, most = pauses()
        pause = None
        if wanted == status and status in crossing:
            pause = str(most if status == 503 else 86400)
        self.assertEqual(answer.header("Retry-After"), pause, (line, case))
        for name, value in answer.headers:
            if name not in ("Call-ID", "From"):
                self.assertNotIn("marker", value)
        caller.ackRefusal(wanted)

    def ended(self, net: CallNet) -> None:
        """Nothing is left."""
        net.settle()
        self.assertEqual(set(net.leftovers().values()), {0}, net.leftovers())

    def toPBX(self, line: Line, case: tuple[int, int]) -> None:
        """The PBX calls; the carrier, and where that is another way a second one, refuses."""
        net = CallNet(second=True)
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        self.refuses(net.carrier, *case)
        another = "INVITE" in net.second.channel.summary()
        self.assertEqual(another, line.another == "**yes**", (line, case))
        if another:
            self.refuses(net.second, *case)
        self.assertTold(net.pbx, line, case, line.toPBX)
        self.ended(net)

    def toCarrier(self, line: Line, case: tuple[int, int]) -> None:
        """The carrier calls, and the PBX refuses."""
        net = CallNet()
        net.carrier.invite("sip:account@198.51.100.2:40000;transport=tls", sdp(SAVP, "203.0.113.9"))
        self.refuses(net.pbx, *case)
        self.assertTold(net.carrier, line, case, line.toCarrier)
        self.ended(net)

    def play(self, lines: Sequence[Line]) -> int:
        """All of them, both ways; how many calls that were."""
        calls = 0
        for line in lines:
            for case in line.cases:
                self.toPBX(line, case)
                self.toCarrier(line, case)
                calls += 2
        return calls

    def test_rows(self) -> None:
        """What the page shows."""
        self.assertGreater(self.play(table()), 150)

    def test_noRow(self) -> None:
        """A status of no row stays; another 3xx is no answer of the callee's."""
        self.play([Line("", "418, 499, 699", "the same", "the same", "", "no")])
        self.play([Line("", "399", "480", "480", "", "no")])
        self.play([Line("", "599", "the same", "the same", "", "**yes**")])

    def test_nobodyTookIt(self) -> None:
        """408 without a provisional answer speaks of the way: the PBX takes its own after the last trunk."""
        net = CallNet(second=True)
        assert net.second is not None
        net.pbx.invite("sip:+4420@198.51.100.1", sdp())
        for trunk in (net.carrier, net.second):
            self.assertNotIn(408, net.pbx.channel.summary())
            trunk.answers(trunk.request("INVITE"), 408)
        self.assertEqual(net.pbx.channel.summary(), [100, 503])
        self.assertRegex(net.pbx.response(503).header("Reason") or "", "^Q.850;cause=34;")
        net.pbx.ackRefusal(503)
        self.ended(net)
