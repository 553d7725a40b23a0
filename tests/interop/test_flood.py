"""Bad datagrams at all media ports during a call, many of them from the peers' own addresses."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from tests.interop.rig.calls import CARRIER_TONE, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture, Datagram
from tests.interop.rig.flood import RATE, Address, Flood, forged, mutations, noise
from tests.interop.rig.ports import host

MANY = 4000
"""Different datagrams of a flood."""

SECONDS = 5.0

LINES = 20
"""That the log may have because of it, at most."""

GROWTH = 8 << 20
"""Octets that the trunk may have more after it: buffers that were never needed before."""


class FloodTests(CallCase):
    """A call during which nothing is heard of it."""

    def forgeries(self, samples: dict[Address, list[Datagram]]) -> list[bytes]:
        """
        Half of them from the addresses that the peers themselves send from.

        @param samples: what the peers sent, by the port of the trunk that it came to.
        """
        chance = random.Random(7)
        made = []
        for _ in range(MANY):
            destination = chance.choice(list(samples))
            sample = chance.choice(samples[destination])
            source = sample.source if chance.randrange(2) else (host(66), 6666)
            kind = chance.randrange(10)
            if kind == 0:
                payload = chance.randbytes(2100)  # larger than any packet that is taken
            elif kind == 1:
                payload = sample.payload  # again
            elif kind == 2:
                # of another SSRC
                payload = sample.payload[:8] + chance.randbytes(4) + sample.payload[12:]
            elif kind < 7:
                payload = mutations(sample.payload, chance)
            else:
                payload = noise(chance)
            made.append(forged(source, destination, payload))
        return made

    def memory(self) -> int:
        """Octets that are the trunk's own, and its media workers'."""
        first = self.trunk.pid
        workers = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        total = 0
        for process in (first, *workers):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
            total += (sizes["Private_Clean"] + sizes["Private_Dirty"]) * 1024
        return total

    def refused(self) -> tuple[dict[str, int], dict[str, int]]:
        """Of the PBX's leg and of the carrier's, by reason, while the call is up."""
        state: dict[str, Any] = json.loads(self.trunk.tool("status", "--json").stdout)
        (call,) = state["up"]
        found = {leg["secure"]: dict(leg["received"]["refused"]) for leg in call["media"]}
        return found[False], found[True]

    def test_flood(self) -> None:
        """Ten thousand per second, for five seconds: both sides hear each other, and all is counted."""
        self.stage()
        ports = [(self.trunk.address, port) for port in self.trunk.mediaPorts[:4]]
        chance = random.Random(3)
        # Before the first packet of anybody: where the phones will send from is known.
        phones = [(phone.address, port) for phone in (self.pbx, self.bob) for port in phone.mediaPorts[:4]]
        early = [
            forged(source, destination, noise(chance))
            for source in [*phones, (host(66), 6666)]
            for destination in ports
            for _ in range(50)
        ]
        with Flood(early) as flood:
            listen(0.5)
            self.callBob()
        self.assertGreater(flood.sent, 1000)
        with Capture() as capture:
            since = time.time()
            listen(5.3)  # RTCP comes every five seconds
        samples: dict[Address, list[Datagram]] = {}
        for one in capture.datagrams:
            if one.destination in ports and one.source[0] != host(66) and one.time > since:
                samples.setdefault(one.destination, []).append(one)
        self.assertEqual(sorted(samples), ports, "RTP and RTCP of both sides")
        listen(3)  # what is sent again is older than what is still on the way
        before, written = self.memory(), len(self.trunk.text().splitlines())
        with Flood(self.forgeries(samples)) as flood:
            time.sleep(SECONDS)
        self.assertGreater(flood.sent / flood.seconds, 0.8 * RATE)
        listen(1)
        pbx, carrier = self.refused()
        # A packet of another SSRC is no more than one with a wrong tag where there are tags.
        self.assertEqual(set(carrier), {"no-key", "authentication", "malformed", "replay", "size"})
        self.assertEqual(set(pbx), {"malformed", "rate", "sequence", "size", "source", "ssrc"})
        # Before the carrier's key was known; afterwards that reason is over.
        self.assertGreater(carrier.pop("no-key"), 0)
        self.assertTrue(all(count > 100 for count in (*pbx.values(), *carrier.values())), (pbx, carrier))
        counted = sum(pbx.values()) + sum(carrier.values())
        # A stranger is not heard at ports that are connected to their peers: a quarter of all.  Some of the
        # rest did not fit into the sockets' buffers, where this machine has other things to do.
        self.assertGreater(counted, 0.8 * 0.75 * flood.sent)
        self.assertLess(self.memory() - before, GROWTH)
        self.assertLess(len(self.trunk.text().splitlines()) - written, LINES)
        self.pbx.hangUp()
        self.bothClosed()
        self.heard(self.pbx, CARRIER_TONE, 13)
        self.heard(self.bob, PBX_TONE, 13)
