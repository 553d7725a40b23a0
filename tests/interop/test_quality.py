"""What the trunk says of the way of a call's packets, beside what a phone and Wireshark say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.interop.rig.calls import CallCase
from tests.interop.rig.capture import Capture, Datagram
from tests.interop.rig.processes import program, waitUntil
from tests.interop.rig.sip import Message, requests, responses
from tests.interop.test_mikey import capture

_ONE_IN_TO_US, _ONE_IN_FROM_US = 20, 10
"""Of so many packets one is lost, on the way from the PBX's phone to the trunk, and back."""

_REPORTED_LATE = 7
"""Seconds that the last report may be old when the call ends."""


def mediaPort(message: Message) -> int:
    """Where its sender receives RTP."""
    (line,) = message.lines("m=")
    return int(line.split()[1])


class QualityTests(CallCase):
    """baresip as the PBX's phone, which counts for itself; loss is made in the kernel."""

    def rules(self, *rules: str) -> None:
        """Packets that do not arrive on this machine until the end of the test."""
        name = f"skypetrunk_quality_{os.getpid()}"
        lines = [
            f"table inet {name} {{",
            "chain arrives {",
            "type filter hook input priority 0;",
            *rules,
            "}",
            "}",
        ]
        subprocess.run(
            [program("nft"), "-f", "-"], input="\n".join([*lines, ""]), text=True, check=True, timeout=10
        )
        delete = [program("nft"), "delete", "table", "inet", name]
        self.addCleanup(subprocess.run, delete, check=True, timeout=10)

    def officeLeg(self) -> dict[str, Any]:
        """The trunk's figures of its leg towards the PBX."""
        state = json.loads(self.trunk.tool("status", "--json").stdout)
        (call,) = state["up"]
        (leg,) = (each for each in call["media"] if not each["secure"])
        found: dict[str, Any] = leg
        return found

    def test_loss(self) -> None:
        """
        The carrier's phone sends no RTCP: the PBX's phone, which gets our reports, knows of loss on its way
        to us all the same, and we know of loss on the way to it, its jitter, and the round trip.
        """
        self.stage()
        self.callBob()
        (invite,) = requests(self.pbx.messages(), "INVITE", sent=True)
        answer = responses(self.bob.messages(), "INVITE", 200, sent=True)[0]
        port, silent = mediaPort(invite), mediaPort(answer) + 1
        self.rules(
            f"udp sport {silent} drop;",
            f"udp sport {port} numgen inc mod {_ONE_IN_TO_US} 0 drop;",
            f"udp dport {port} numgen inc mod {_ONE_IN_FROM_US} 0 drop;",
        )
        with Capture() as captured:
            waitUntil(lambda: self.officeLeg()["roundTrip"] is not None, 32, "a round trip", pause=0.5)
            time.sleep(0.5)
            ours = self.officeLeg()
        self.pbx.hangUp()
        self.bothClosed()
        waitUntil(lambda: re.search(r"jitter: .*ms\)", self.pbx.text()), 5, "its statistics")
        self.beside(ours)
        self.dissected(captured.to([port + 1]))
        ended = json.loads(self.trunk.tool("status", "--json").stdout)["ended"][-1]
        self.assertRegex(ended["diagnosis"], r"^[45]\.\d % of the packets are lost on the way from office$")

    def beside(self, ours: dict[str, Any]) -> None:
        """Our figures and the phone's; one packet in 20 ms."""
        received, sent = ours["received"], ours["sent"]
        self.assertLess(abs(received["lost"] * _ONE_IN_TO_US / received["packets"] - 1.03), 0.1)
        theirs: dict[str, list[float]] = {
            name: [float(one), float(other)]
            for name, one, other in re.findall(r"^(\w+): +(-?[\d.]+) +(-?[\d.]+)", self.pbx.text(), re.M)
        }
        late = _REPORTED_LATE * 50
        self.assertLess(abs(theirs["lost"][1] - sent["lost"]), late / _ONE_IN_FROM_US)
        self.assertGreater(sent["lost"], 30)
        self.assertLess(abs(theirs["lost"][0] - received["lost"]), late / _ONE_IN_TO_US)
        self.assertGreater(theirs["lost"][0], 10)
        self.assertLess(abs(theirs["jitter"][1] - sent["jitter"]), 5)
        self.assertLess(ours["roundTrip"], 20)
        self.assertEqual(received["bursts"], 0)
        self.assertTrue(3.5 < received["opinion"] < 4.2, received["opinion"])

    def dissected(self, datagrams: list[Datagram]) -> None:
        """Wireshark reads our reports: complete, and with the loss in them."""
        self.assertTrue(datagrams)
        path = self.scratch / "reports.pcap"
        path.write_bytes(capture([each.payload for each in datagrams]))
        names = ["rtcp.pt", "rtcp.ssrc.fraction", "rtcp.ssrc.cum_nr", "rtcp.sdes.type", "_ws.malformed"]
        shown = subprocess.run(
            [program("tshark"), "-r", str(path), "-d", "udp.port==1-65535,rtcp", "-T", "fields"]
            + ["-E", "separator=|", *(word for name in names for word in ("-e", name))],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "HOME": str(Path(self.scratch))},
        ).stdout.splitlines()
        self.assertEqual(len(shown), len(datagrams))
        for line in shown:
            kinds, fraction, lost, items, malformed = line.split("|")
            self.assertEqual((kinds, items, malformed), ("200,202", "1,0", ""))
            self.assertTrue(8 <= int(fraction) <= 18, line)  # of 256: 12.8 are one in 20
            self.assertGreater(int(lost), 10)
