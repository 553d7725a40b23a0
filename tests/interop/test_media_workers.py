"""
Calls whose media worker dies, or hangs, also while there is no connection to the carrier: both sides hear
each other again, and no key is used in two contexts.
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
from tests.interop.rig.capture import Capture, Datagram, isRTCP, media
from tests.interop.rig.evidence import judgePayloads
from tests.interop.rig.flow_loss import FlowLossCase
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.sip import agreed, requests, responses
from tests.interop.rig.srtp import Decrypted, decryptAll
from tests.interop.rig.trunk import Trunk

#: Seconds without a packet from the kill on: a re-INVITE is answered in much less.
GAP = 1.0

#: More of them until a worker that does not answer is killed.
HUNG = 6.0


class WorkingTrunk(Trunk):
    """One whose calls are carried by other processes."""

    workers = 1

    def __init__(self, scratch: Path, pbx: tuple[str, int], **more: Any) -> None:
        super().__init__(scratch, pbx, **more)
        text = self.configuration.read_text()
        self.configuration.write_text(text.replace("[media]\n", f"[media]\nworkers = {self.workers}\n"))

    def working(self) -> list[dict[str, Any]]:
        """What it says of its workers."""
        found: list[dict[str, Any]] = json.loads(self.tool("status", "--json").stdout)["mediaWorkers"]
        return found

    def worker(self) -> dict[str, Any]:
        """The one that carries a call, or the first."""
        return max(self.working(), key=lambda each: each["legs"])

    def waitWorking(self) -> None:
        """All of them are ready."""
        waitUntil(
            lambda: all(each["ready"] for each in self.working()), 10, "the workers are ready", pause=0.2
        )


class TwoWorkers(WorkingTrunk):
    """With two of them."""

    workers = 2


class WorkerCase(CallCase):
    """What is asked of calls that lose their worker."""

    trunk: WorkingTrunk

    def heardLast(self, phone: Baresip, tone: int, seconds: float) -> None:
        """What a phone has recorded ends with so much of the tone, but for what the end itself cut off."""
        samples = readWAV(phone.recordings()[-1])
        end = len(samples) - RATE // 5
        verdict = judge(samples[end - int(seconds * RATE) : end], tone)
        self.assertGreaterEqual(verdict.share, 0.95, f"{phone.name}: {verdict}")

    def streams(self, capture: Capture) -> list[Decrypted]:
        """
        What the trunk sent to bob: a stream for each key that he has agreed to, all of it under that key, and
        no index twice.
        """
        messages = self.bob.messages()
        keys: dict[bytes, str] = {}
        for answer in responses(messages, "INVITE", 200):
            offer = next(
                each
                for each in requests(messages, "INVITE")
                if (each.header("Call-ID"), each.header("CSeq"))
                == (answer.header("Call-ID"), answer.header("CSeq"))
            )
            exchange = agreed(offer, answer)
            ours = offer.mediaAddress()[0] == self.trunk.address
            keys[exchange.offerer if ours else exchange.answerer] = exchange.suite
        sources: dict[bytes, list[Datagram]] = {}
        for each in capture.to(self.bob.mediaPorts):
            place = 4 if isRTCP(each.payload) else 8
            sources.setdefault(each.payload[place : place + 4], []).append(each)
        self.assertEqual(len(sources), len(keys), "one stream for each key")
        return [
            decryptAll(found, suite, key)
            for found, (key, suite) in zip(sources.values(), keys.items(), strict=True)
        ]

    def spokenToBob(self, capture: Capture, *seconds: float) -> None:
        """
        The PBX's tone, under each of his keys.  As he was told: baresip 1.0 itself takes none but the first.

        @param seconds: how long at least under each.
        """
        for found, least in zip(self.streams(capture), seconds, strict=True):
            verdict = judgePayloads(found, PBX_TONE)
            self.assertGreaterEqual(verdict.share, 0.98, str(verdict))
            self.assertGreater(verdict.seconds, least, str(verdict))


class WorkerTests(WorkerCase):
    """A call, and a worker that is killed in it."""

    def killed(self, bobCalls: bool, hangs: bool) -> None:
        """
        The worker is killed in a call.

        @param hangs: not by us: it does nothing any more.
        """
        self.stage(configured=WorkingTrunk)
        self.trunk.waitWorking()
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
        # The PBX is told nothing; the carrier gets one re-INVITE, with other ports and another key.
        messages = self.bob.messages()
        self.assertEqual(
            len([each for each in requests(messages, "INVITE") if "tag=" in each.header("To")]), 1
        )
        toPBX = requests(capture.sip(self.pbx.address, self.pbx.port), "INVITE", sent=False)
        self.assertEqual(len(toPBX), 1 if bobCalls else 0)
        self.spokenToBob(capture, 1.2, 2.0)
        written = [
            each
            for each in messages
            if each.lines("m=audio") and each.mediaAddress()[0] == self.trunk.address
        ]
        self.assertEqual(len({each.mediaAddress() for each in written}), 2)
        self.assertEqual(len({each.crypto()[0].key for each in written}), 2)
        self.trunk.waitWorking()

    def test_callOut(self) -> None:
        """The PBX had called."""
        self.killed(bobCalls=False, hangs=False)

    def test_callIn(self) -> None:
        """The carrier had called; the worker is stopped, and killed when it does not answer."""
        self.killed(bobCalls=True, hangs=True)
        self.assertIn("has not answered for 5 s: it is killed", self.trunk.text())


class RecoveryTests(FlowLossCase, WorkerCase):
    """A worker is killed while there is no connection to the carrier, so that nobody can be told of it."""

    def test_callOut(self) -> None:
        """
        The other worker goes on.  When there is a connection again the carrier is offered a new key, and both
        hear each other; what was sent under either key has no index twice.
        """
        self.staged(configured=TwoWorkers)
        self.trunk.waitWorking()
        with Capture() as capture:
            self.callBob()
            listen(0.8)
            worker, before = self.trunk.worker(), self.granted()
            self.assertEqual(worker["legs"], 2)
            self.middle.refuse()
            self.middle.reset()
            waitUntil(lambda: "connection lost" in self.trunk.text(), 5, "the trunk notices")
            os.kill(worker["process"], signal.SIGKILL)
            waitUntil(lambda: "are carried on elsewhere" in self.trunk.text(), 5, "the call goes on")
            other = self.trunk.worker()
            self.assertEqual(other["legs"], 2)
            self.assertNotIn(other["process"], (worker["process"], None))
            self.middle.listen()
            waitUntil(lambda: self.granted() > before, 6, "the trunk registers again")
            waitUntil(
                lambda: len(responses(self.bob.messages(), "INVITE", 200, sent=True)) > 1,
                5,
                "bob is offered a new key",
            )
            listen(1.2)
            self.pbx.hangUp()
            self.bothClosed()
        self.spokenToBob(capture, 0.6, 0.9)
        self.heardLast(self.pbx, CARRIER_TONE, 0.8)
        self.trunk.waitWorking()
