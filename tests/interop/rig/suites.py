"""Calls of one suite each: a PBX with RTP, and a carrier whose SRTP is a foreign program's."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from skypetrunk.wire.sdes import SUITES
from tests.interop.rig.agent import Dialog
from tests.interop.rig.audio import sineALaw
from tests.interop.rig.calls import CARRIER_TONE, PBX_TONE
from tests.interop.rig.ports import host
from tests.interop.rig.processes import waitUntil
from tests.interop.rig.rtp import packetOf
from tests.interop.rig.rtpengine import RTPEngine
from tests.interop.rig.scenarios import sdp
from tests.interop.rig.srtp import headerLength
from tests.interop.rig.srtp_filters import drained, ear

#: Where the end of the sequence numbers is near; and packets that are said in a call, before and after hold.
NEAR, BEFORE, AFTER = 65_490, 80, 50
_JUMP = 100  # the longest step that the trunk takes for loss
_SILENCE = bytes([0xD5]) * 16  # two milliseconds, the pace at which the numbers are wound on

_PBX_AUDIO = sineALaw(PBX_TONE, 1)
_CARRIER_AUDIO = sineALaw(CARRIER_TONE, 1)


def newKey(suite: str) -> bytes:
    """A random master key with its salt."""
    one = SUITES[suite]
    return os.urandom(one.keyOctets + one.saltOctets)


def clearVoice() -> list[bytes]:
    """What the carrier's side says in a call, as RTP that goes over the end of the sequence numbers."""
    return [packetOf(_CARRIER_AUDIO, NEAR + number, 0x43415252) for number in range(BEFORE + AFTER)]


def _octets(packets: Sequence[bytes]) -> bytes:
    """Sound of RTP packets, in the order given, without what only fills and keeps alive."""
    payloads = (packet[headerLength(packet) :] for packet in packets)
    return b"".join(payload for payload in payloads if payload != _SILENCE)


class Far:
    """
    The carrier's end of a stream.

    @ivar place: where it receives; C{key} is what it protects with, C{tag} that of its offer.
    @ivar own: its socket.
    """

    def __init__(self, suite: str) -> None:
        self.suite = suite
        self.own = ear(host(74))
        self.place: tuple[str, int] = self.own.getsockname()
        self.key = b""
        self.tag = 1
        self._heard: list[bytes] = []

    @property
    def inline(self) -> str:
        """Its key as it stands in a description."""
        return base64.b64encode(self.key).decode()

    def offer(self) -> None:
        """It is to call: place, key and tag are needed now."""

    def connect(self, trunk: tuple[str, int], key: bytes) -> None:
        """
        The trunk's description is known.

        @param key: the trunk's.
        """
        raise NotImplementedError

    def ready(self) -> None:
        """Sound begins, after what only filled the numbers."""

    def say(self, number: int) -> None:
        """Send the packet of that number, from 0."""
        raise NotImplementedError

    def hear(self) -> int:
        """
        Take what has come.

        @return: the sequence number of the last packet; -1: nothing came at all.
        """
        self._heard += drained(self.own)
        return int.from_bytes(self._heard[-1][2:4], "big") if self._heard else -1

    def said(self) -> bytes:
        """All its sound."""
        raise NotImplementedError

    def heard(self) -> bytes:
        """All sound that it got."""
        raise NotImplementedError


class EngineFar(Far):
    """rtpengine is the end: it gets our clear voice, and passes on what it has read."""

    def __init__(self, engine: RTPEngine, suite: str) -> None:
        super().__init__(suite)
        self._engine = engine
        self._voice = clearVoice()
        self._door = ("", 0)
        self._offered = False

    @property
    def inline(self) -> str:
        """As rtpengine writes it, without filling."""
        return super().inline.rstrip("=")

    @property
    def _call(self) -> str:
        return f"{self.suite}-{self.own.getsockname()[1]}"

    def offer(self) -> None:
        """See L{Far.offer}."""
        port, self.tag, self.key = self._engine.offer(self._call, self.suite, self.own.getsockname())
        self.place, self._offered = (self._engine.address, port), True

    def connect(self, trunk: tuple[str, int], key: bytes) -> None:
        """See L{Far.connect}."""
        if self._offered:
            back = self._engine.answer(self._call, trunk, self.suite, self.tag, key)
        else:
            plain = self.own.getsockname()
            port, self.key, back = self._engine.end(self._call, trunk, self.suite, key, plain)
            self.place = self._engine.address, port
        self._door = self._engine.address, back

    def say(self, number: int) -> None:
        """See L{Far.say}."""
        self.own.sendto(self._voice[number], self._door)

    def said(self) -> bytes:
        """See L{Far.said}."""
        return _octets(self._voice)

    def heard(self) -> bytes:
        """See L{Far.heard}."""
        return _octets(self._heard)


class FilterFar(Far):
    """
    A program has made the packets that are sent, and is given those that came when the call is over.

    @ivar received: these, without keep-alives.
    @ivar trunkKey: the key that they were made with.
    @ivar wound: how many of them had come before sound began.
    """

    def __init__(self, suite: str, key: bytes, packets: Sequence[bytes], sound: bytes) -> None:
        """
        @param packets: SRTP of C{sound}.
        """
        super().__init__(suite)
        self.key = key
        self.trunkKey = b""
        self.wound = 0
        self._packets, self._sound = packets, sound
        self._trunk = ("", 0)
        self._read: Sequence[bytes] | None = None

    def connect(self, trunk: tuple[str, int], key: bytes) -> None:
        """See L{Far.connect}."""
        self._trunk, self.trunkKey = trunk, key

    def ready(self) -> None:
        """See L{Far.ready}."""
        self.hear()
        self.wound = len(self.received)

    def say(self, number: int) -> None:
        """See L{Far.say}."""
        if number < len(self._packets):
            self.own.sendto(self._packets[number], self._trunk)

    def said(self) -> bytes:
        """See L{Far.said}."""
        return self._sound

    @property
    def received(self) -> list[bytes]:
        """See L{FilterFar}."""
        return [packet for packet in self._heard if packet[1] & 0x7F == 8]

    def isRead(self, packets: Sequence[bytes]) -> None:
        """The program has read these, RTP, in what came."""
        self._read = packets

    def heard(self) -> bytes:
        """See L{Far.heard}."""
        assert self._read is not None, "nobody has read what came"
        return _octets(self._read)


class PBXEnd:
    """
    The PBX's end of a call.

    @ivar ear: its socket; C{dialog}: its end of the signalling.
    """

    def __init__(self, own: socket.socket, dialog: Dialog, door: tuple[str, int]) -> None:
        """
        @param door: where the trunk receives its RTP.
        """
        self.ear, self.dialog = own, dialog
        self._door = door
        self._number, self._timestamp, self._frames = 1000, 0, 0
        self._said: list[bytes] = []
        self._heard: list[bytes] = []

    def say(self, jump: int = 0) -> None:
        """
        Send the next packet.

        @param jump: silence, that many numbers after the last; 0: sound.
        """
        self._number = self._number + (jump or 1) & 0xFFFF
        if jump:
            sound = _SILENCE
        else:
            self._frames += 1
            sound = packetOf(_PBX_AUDIO, self._frames, 0)[12:]
        packet = struct.pack("!BBHII", 0x80, 8, self._number, self._timestamp, 0x50425831) + sound
        self._timestamp += len(sound)
        self._said.append(packet)
        self.ear.sendto(packet, self._door)

    def hear(self) -> None:
        """Take what has come."""
        self._heard += drained(self.ear)

    def said(self) -> bytes:
        """All its sound."""
        return _octets(self._said)

    def heard(self) -> bytes:
        """All sound that it got, or got since L{forget}."""
        return _octets(self._heard)

    def forget(self) -> None:
        """What has come by now does not count."""
        self.hear()
        self._heard.clear()


@dataclass
class Call:
    """
    A call that stands.

    @ivar pbx: the PBX's end, C{carrier} the carrier's, whose media is C{far}'s.
    @ivar key: the trunk's.
    """

    far: Far
    pbx: PBXEnd
    carrier: Dialog
    key: bytes

    def hear(self) -> None:
        """Both ends take what has come."""
        self.pbx.hear()
        self.far.hear()


def wind(calls: Sequence[Call]) -> None:
    """
    The PBX's streams go on until the trunk's, which begin anywhere in the lower half of the sequence numbers,
    are near their end.
    """
    for _ in range(2):
        for call in calls:
            call.pbx.say(1)
    waitUntil(lambda: all(call.far.hear() >= 0 for call in calls), 5, "the first packet comes")
    time.sleep(0.1)
    left = [(NEAR - call.far.hear()) for call in calls]
    while any(left):
        for number, call in enumerate(calls):
            step = min(_JUMP, left[number])
            if step:
                call.pbx.say(step)
                left[number] -= step
            call.hear()
        time.sleep(0.002)
    time.sleep(0.1)


def talk(calls: Sequence[Call], first: int, count: int) -> None:
    """Both sides of all calls speak, a packet every 20 ms."""
    begun = time.monotonic()
    for number in range(count):
        for call in calls:
            call.pbx.say()
            call.far.say(first + number)
            call.hear()
        time.sleep(max(0.0, begun + (number + 1) * 0.02 - time.monotonic()))
    time.sleep(0.1)
    for call in calls:
        call.hear()


def description(
    place: tuple[str, int], *, crypto: str = "", direction: str = "sendrecv", version: int = 1
) -> str:
    """
    One audio stream.

    @param crypto: the value of C{a=crypto}; empty: RTP.
    """
    address, port = place
    body = sdp(
        connection=address,
        port=str(port),
        version=version,
        attributes=[direction],
        secure=[crypto] if crypto else [],
    )
    return body.replace("[local_ip]", address)
