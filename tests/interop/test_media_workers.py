"""
Calls whose media worker dies, or hangs: both sides hear each other again, and no key is used in two contexts.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.interop.rig.audio import RATE, judge, readWAV
from tests.interop.rig.baresip import Baresip
from tests.interop.rig.calls import CARRIER_TONE, PBX_TONE, CallCase, listen
from tests.interop.rig.capture import Capture, media
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.sip import requests
from tests.interop.rig.trunk import Trunk

#: Seconds without a packet from the kill on: a re-INVITE is answered in much less.
GAP = 1.0

#: More of them until a worker that does not answer is killed.
HUNG = 6.0


class WorkingTrunk(Trunk):
    """One whose calls are carried by another process."""

    def __init__(self, scratch: Path, pbx: tuple[str, int], **more: Any) -> None:
        super().__init__(scratch, pbx, **more)
        text = self.configuration.read_text()
        self.configuration.write_text(text.replace("[media]\n", "[media]\nworkers = 1\n"))

    def worker(self) -> dict[str, Any]:
        """What it says of its worker."""
        found: dict[str, Any] = json.loads(self.tool("status", "--json").stdout)["mediaWorkers"][0]
        return found


class WorkerTests(CallCase):
    """A call, and a worker that is killed in it."""

    trunk: WorkingTrunk

    def heardLast(self, phone: Baresip, tone: int, seconds: float) -> None:
        """What a phone has recorded ends with so much of the tone, but for what the end itself cut off."""
        samples = readWAV(phone.recordings()[-1])
        end = len(samples) - RATE // 5
        verdict = judge(samples[end - int(seconds * RATE) : end], tone)
        self.assertGreaterEqual(verdict.share, 0.95, f"{phone.name}: {verdict}")

    def killed(self, bobCalls: bool, hangs: bool) -> None:
        """
        The worker is killed in a call.

        @param hangs: not by us: it does nothing any more.
        """
        self.stage(configured=WorkingTrunk)
        waitUntil(lambda: self.trunk.worker()["ready"], 10, "the worker is ready", pause=0.2)
        with Capture() as capture:
            if bobCalls:
                self.callPBX()
            else:
                self.callBob()
            listen(1.5)
            worker = self.trunk.worker()
            self.assertEqual(worker["legs"], 2)
            killed = time.time()
            os.kill(worker["process"], signal.SIGSTOP if hangs else signal.SIGKILL)
            hung = HUNG if hangs else 0.0
            listen(hung + 3)
            self.pbx.hangUp()
            self.bothClosed()
        for phone in (self.pbx, self.bob):
            heard = media(capture.to(phone.mediaPorts))
            gaps = [after.time - before.time for before, after in zip(heard, heard[1:], strict=False)]
            self.assertLess(max(gaps), hung + GAP, phone.name)
            self.assertGreater(heard[-1].time, killed + hung + 2.5, phone.name)
        self.heardLast(self.pbx, CARRIER_TONE, 1.5)
        self.heardLast(self.bob, PBX_TONE, 1.5)
        # The PBX is told nothing; the carrier gets one re-INVITE, with other ports and another key.
        messages = self.bob.messages()
        self.assertEqual(
            len([each for each in requests(messages, "INVITE") if "tag=" in each.header("To")]), 1
        )
        toPBX = requests(capture.sip(self.pbx.address, self.pbx.port), "INVITE", sent=False)
        self.assertEqual(len(toPBX), 1 if bobCalls else 0)
        # One stream for each key.
        streams = {each.payload[8:12] for each in media(capture.to(self.bob.mediaPorts))}
        self.assertEqual(len(streams), 2)
        written = [
            each
            for each in messages
            if each.lines("m=audio") and each.mediaAddress()[0] == self.trunk.address
        ]
        self.assertEqual(len({each.mediaAddress() for each in written}), 2)
        self.assertEqual(len({each.crypto()[0].key for each in written}), 2)
        waitUntil(lambda: self.trunk.worker()["ready"], 10, "there is another worker", pause=0.2)

    def test_callOut(self) -> None:
        """The PBX had called."""
        self.killed(bobCalls=False, hangs=False)

    def test_callIn(self) -> None:
        """The carrier had called; the worker is stopped, and killed when it does not answer."""
        self.killed(bobCalls=True, hangs=True)
        self.assertIn("has not answered for 5 s: it is killed", self.trunk.text())
