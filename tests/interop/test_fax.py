"""
Whole pages by T.38, between two fax machines of libspandsp; sipp signals for them on both sides.

The page that comes out is that which went in, dot by dot, and the sound before and after it has the same
keys.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Sequence

from tests.interop.rig.fax import GOOD, PACE, FaxMachine, page, readTIFF, writeTIFF
from tests.interop.rig.party import CARRIER, KEPT, PBX, Party, registrar
from tests.interop.rig.ports import host
from tests.interop.rig.processes import Peer
from tests.interop.rig.rtp import packetOf
from tests.interop.rig.scenarios import FIXED_KEY, Scenario
from tests.interop.rig.sip import Message, responses
from tests.interop.rig.sipp import Sipp
from tests.interop.rig.srtp import ReferenceSRTP
from tests.interop.rig.switchboard import Exchange, ScriptCase
from tests.interop.rig.trunk import Trunk

T38 = (
    "a=T38FaxVersion:0\na=T38MaxBitRate:14400\na=T38FaxFillBitRemoval:0\n"
    "a=T38FaxRateManagement:transferredTCF\n"
    "a=T38FaxMaxBuffer:2000\na=T38FaxMaxDatagram:400\na=T38FaxUdpEC:t38UDPRedundancy\n"
)
SUITE = "AES_CM_128_HMAC_SHA1_80"
SOUND = b"sound of a telephone" * 8
ENOUGH = 10
"""Packets of sound in each direction, before and after."""

LINES = 200
"""Of a page."""


class End:
    """
    One side of a call, without its signalling, which says to it where to send.

    @ivar heard: packets of sound, in clear.
    @ivar told: the last description that the trunk gave to this side.
    """

    def __init__(self, party: Party, machine: FaxMachine | None) -> None:
        self.party = party
        self.machine = machine
        self.heard: list[bytes] = []
        self.told: Message | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((addressOf(party), 0))
        self.port: int = self._socket.getsockname()[1]
        self._said = 0
        self._sends = ReferenceSRTP(SUITE, base64.b64decode(FIXED_KEY))
        self._hears: ReferenceSRTP | None = None

    def close(self) -> None:
        """No more."""
        self._socket.close()
        if self.machine is not None:
            self.machine.close()

    def sdp(self, version: int) -> str:
        """Sound."""
        return self.party.sdp(version, port=str(self.port))

    def image(self, version: int) -> str:
        """T.38."""
        port = self.port if self.machine is None else self.machine.port
        return f"{self.party.sdp(version).partition('m=audio')[0]}m=image {port} udptl t38\n{T38}"

    @property
    def faxing(self) -> bool:
        """Is it a fax now?"""
        return self.told is not None and "\nm=image" in self.told.body

    def look(self, peer: Sipp) -> None:
        """What has the trunk told it?"""
        told = [each for each in peer.messages() if not each.sent and "\nm=" in each.body]
        if told:
            self.told = told[-1]
            if self.faxing and self.machine is not None:
                port = int(self.told.lines("m=image ")[0].split()[0])
                self.machine.peer = self.told.lines("c=IN IP4 ")[0].strip(), port
        if self.party.secure and self._hears is None and told and told[-1].crypto():
            # The same to the end: a key that changes is not heard.
            self._hears = ReferenceSRTP(SUITE, told[-1].crypto()[0].key)

    def talk(self) -> None:
        """20 ms of sound, where there is to be any, and what has come."""
        if self.told is not None and not self.faxing:
            packet = packetOf(SOUND, self._said, ssrc=0x46415821)
            self._said += 1
            packet = self._sends.protect(packet) if self.party.secure else packet
            self._socket.sendto(packet, self.told.mediaAddress())
        while True:
            try:
                packet = self._socket.recv(2048)
            except BlockingIOError:
                return
            if self.party.secure:
                if self._hears is None:
                    continue
                _, packet = self._hears.unprotect(packet)
            if packet[12:]:
                self.heard.append(packet)


class Call:
    """
    One call: sound, a fax or an attempt at one, sound.

    @ivar marks: packets of sound that each side had heard when the second sound was wanted.
    """

    def __init__(self, name: str, pbx: End, carrier: End, inbound: bool) -> None:
        self.name = name
        self.pbx, self.carrier = pbx, carrier
        self.ends = (carrier, pbx) if inbound else (pbx, carrier)
        self.inbound = inbound
        self.before: list[int] = []
        self.marks: list[int] = []
        self.done = False

    def look(self, phone: Sipp, carrier: Sipp) -> None:
        """What has become of it?"""
        if self.done:
            return
        self.pbx.look(phone)
        self.carrier.look(carrier)
        if not self.marks:
            machines = [end.machine for end in self.ends if end.machine is not None]
            if not self.before and all(end.faxing for end in self.ends):
                self.before = [len(end.heard) for end in self.ends]
            refused = bool(responses(carrier.messages(), "INVITE", 488))
            if refused or (machines and all(machine.result is not None for machine in machines)):
                self.before = self.before or [len(end.heard) for end in self.ends]
                self.marks = [len(end.heard) for end in self.ends]
                if machines:
                    nudge(phone)
        elif all(len(end.heard) - mark >= ENOUGH for end, mark in zip(self.ends, self.marks, strict=True)):
            nudge(phone)
            self.done = True


class FaxCase(ScriptCase):
    """Calls in which the callee wants fax."""

    def meanwhile(self, phones: Sequence[Sipp], carriers: Sequence[Sipp]) -> None:
        """The machines run, and who is on the telephone speaks."""
        machines = [end.machine for call in self.calls for end in call.ends if end.machine is not None]
        deadline = time.monotonic() + 20
        for turn in range(1_000_000):
            if all(call.done for call in self.calls):
                return
            began = time.monotonic()
            self.assertLess(began, deadline, [(call.name, call.before, call.marks) for call in self.calls])
            for machine in machines:
                machine.step()
            if turn % 10 == 0:
                for call in self.calls:
                    for end in call.ends:
                        end.talk()
            if turn % 25 == 0:
                for call, phone, carrier in zip(self.calls, phones, carriers, strict=True):
                    call.look(phone, carrier)
            time.sleep(max(0.0, PACE - (time.monotonic() - began)))

    def prepare(self, name: str, inbound: bool, allowed: bool) -> Exchange:
        """
        A call whose callee wants T.38, as a machine does that hears the tone of another; the PBX has sound
        again afterwards, and hangs up.
        """
        ends = []
        for party, calls in ((PBX, not inbound), (CARRIER, inbound)):
            machine = None
            if allowed:
                file = self.scratch / f"{name}-{'sent' if calls else 'received'}.tiff"
                machine = FaxMachine(addressOf(party), file, calls=calls)
                if calls:
                    writeTIFF(file, page(LINES))
            ends.append(End(party, machine))
            self.addCleanup(ends[-1].close)
        pbx, carrier = ends
        self.calls.append(Call(name, pbx, carrier, inbound))
        near, far = self.calls[-1].ends
        calling, called = Scenario(f"{name} caller"), Scenario(f"{name} callee")
        if inbound:
            registrar(calling)
        near.party.calls(calling, near.party.invite(near.sdp(1)))
        near.party.connected(calling)
        called.request("INVITE", store=True, keep=KEPT)
        far.party.answers(called, far.sdp(1))
        write = far.party.inside(True)
        called.pause(500).send(write("INVITE", 1, far.image(2))).response(100, optional=True)
        ofPBX, ofCarrier = (called, calling) if inbound else (calling, called)
        number = 2
        if allowed:
            called.response(200, body="m=image").send(write("ACK", 1), retransmit=False)
            calling.request("INVITE", body="m=image")
            calling.send(near.party.answer("200 OK", near.image(2), tag="")).request("ACK")
            write = PBX.inside(inbound)
            ofPBX.request("INFO").send(write("INVITE", 2, pbx.sdp(3))).response(100, optional=True)
            ofPBX.response(200, body="m=audio").send(write("ACK", 2), retransmit=False)
            ofCarrier.request("INVITE", body="m=audio")
            ofCarrier.send(CARRIER.answer("200 OK", carrier.sdp(3), tag="")).request("ACK")
            number = 3
        else:
            called.response(488).send(far.party.refusalTaken(1, inside=True), retransmit=False)
        PBX.hangsUp(ofPBX.request("INFO"), number, called=inbound)
        CARRIER.hungUp(ofCarrier)
        lines = ["[trunk.media]", 't38 = "pass"'] if allowed else []
        return Exchange(name, ofPBX, ofCarrier, inbound, "udp", trunkLines=lines)

    def setUp(self) -> None:
        """No call yet."""
        super().setUp()
        self.calls: list[Call] = []

    def faxed(self, *exchanges: Exchange) -> None:
        """Play them, and judge."""
        played = self.playAll(*exchanges)
        rows = page(LINES)
        log = self.trunk.text()
        for call, one in zip(self.calls, played, strict=True):
            for count in call.before:
                self.assertGreaterEqual(count, ENOUGH, call.name)
            if call.name == "refused":
                for message in one.pbxMessages:
                    self.assertNotIn("m=image", message.text)
                continue
            near, far = call.ends
            assert near.machine is not None and far.machine is not None
            self.assertEqual((near.machine.result, far.machine.result), (GOOD, GOOD))
            self.assertEqual(readTIFF(self.scratch / f"{call.name}-received.tiff"), rows)
            self.assertEqual(near.machine.sent, far.machine.received)
            self.assertEqual(far.machine.sent, near.machine.received)
            for end in call.ends:
                assert end.machine is not None
                self.assertEqual(end.machine.sources, {end.machine.peer})
            for messages in (one.pbxMessages, one.carrierMessages):
                self.checkSDP(messages)
        faxes = sum(call.name != "refused" for call in self.calls)
        self.assertEqual(log.count("fax by T.38 between "), faxes)
        self.assertEqual(log.count("T.38 in clear: "), 2 * faxes)
        self.assertEqual(log.count("fax by T.38: "), 0)  # Nothing was wrong with them.

    def checkSDP(self, messages: Sequence[Message]) -> None:
        """What the trunk said: fax as it was written and without keys, sound as in the beginning."""
        told = [each for each in messages if not each.sent and "\nm=" in each.body]
        first, fax, last = told
        self.assertIn(T38, fax.body)
        self.assertNotIn("crypto", fax.body)
        self.assertEqual(first.mediaAddress(), last.mediaAddress())
        self.assertEqual([line.key for line in first.crypto()][:1], [line.key for line in last.crypto()][:1])


class FaxTests(FaxCase):
    """Pages in both directions, and where fax by T.38 is not allowed none."""

    def test_pages(self) -> None:
        """Out, in, and one that is refused and goes on as a call."""
        self.faxed(
            self.prepare("out", inbound=False, allowed=True),
            self.prepare("in", inbound=True, allowed=True),
            self.prepare("refused", inbound=False, allowed=False),
        )


class WorkerTests(FaxCase):
    """The same, carried by another process."""

    def startTrunk(self, trunk: Trunk, *registrars: Peer) -> None:
        """With a media worker."""
        text = trunk.configuration.read_text()
        trunk.configuration.write_text(text.replace("[media]\n", "[media]\nworkers = 1\n"))
        super().startTrunk(trunk, *registrars)

    def test_page(self) -> None:
        """One of the carrier's."""
        self.faxed(self.prepare("in", inbound=True, allowed=True))
        workers = json.loads(self.trunk.tool("status", "--json").stdout)["mediaWorkers"]
        self.assertEqual([(each["starts"], each["legs"]) for each in workers], [(1, 0)])


def addressOf(party: Party) -> str:
    """Of its media."""
    return host(42 if party.secure else 41)


def nudge(phone: Sipp) -> None:
    """An INFO that did not come from the trunk has a PBX's scenario go on."""
    message = phone.messages()[0]
    text = (
        f"INFO sip:go-on@{phone.address} SIP/2.0\r\nVia: SIP/2.0/UDP {phone.address}:9;branch=z9hG4bKgo\r\n"
        f"From: <sip:test@{phone.address}>;tag=go\r\nTo: <sip:pbx@{phone.address}>\r\n"
        f"Call-ID: {message.header('Call-ID')}\r\nCSeq: 99 INFO\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((phone.address, 0))
        sender.sendto(text.encode(), (phone.address, phone.port))
