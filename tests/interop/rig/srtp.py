"""
SRTP as the reference judges it (RFC 3711): AES-CM and HMAC-SHA1 on C{cryptography}, no libsrtp.

It is itself checked against the vectors of RFC 3711 appendix B, and packet by packet against ffmpeg.
"""

from __future__ import annotations

import base64
import hmac
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.interop.rig.capture import Datagram, isRTCP
from tests.interop.rig.ports import host, listening, takePorts
from tests.interop.rig.processes import Peer, program

#: Octets of the authentication tag of an SRTP packet, by suite; SRTCP has ten in both (RFC 4568 section 6.2).
TAGS = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}
RTCP_TAG = 10


class NotAuthentic(Exception):
    """The tag of a packet is wrong: another key, or a packet that is not SRTP at all."""


def keystream(key: bytes, salt: bytes, ssrc: int, index: int, length: int) -> bytes:
    """Key stream of one packet (RFC 3711 section 4.1.1)."""
    number = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(number.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(length))


def derive(master: bytes, label: int, length: int) -> bytes:
    """A session key from master key and salt, 16 and 14 octets (RFC 3711 section 4.3.1)."""
    number = (int.from_bytes(master[16:], "big") ^ (label << 48)) << 16
    encryptor = Cipher(algorithms.AES(master[:16]), modes.CTR(number.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(length))


def _xor(one: bytes, other: bytes) -> bytes:
    size = len(one)
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(size, "big") if size else b""


def headerLength(packet: bytes) -> int:
    """Octets of an RTP header with CSRCs and extension (RFC 3550 section 5.1)."""
    length = 12 + 4 * (packet[0] & 15)
    if packet[0] & 16:
        length += 4 + 4 * int(struct.unpack_from("!H", packet, length + 2)[0])
    return length


class ReferenceSRTP:
    """One direction of one master key, for both RTP and RTCP."""

    def __init__(self, suite: str, master: bytes, rtcpTag: int = RTCP_TAG) -> None:
        assert len(master) == 30, f"{len(master)} octets of key and salt"
        self.suite = suite
        self._tag = TAGS[suite]
        self._rtcpTag = rtcpTag
        self._keys = [derive(master, label, size) for label, size in ((0, 16), (1, 20), (2, 14))]
        self._rtcpKeys = [derive(master, label, size) for label, size in ((3, 16), (4, 20), (5, 14))]
        self._highest: dict[int, int] = {}
        self._rtcpIndex = 0

    def _guess(self, ssrc: int, sequence: int) -> int:
        # RFC 3711 section 3.3.1: the index nearest to the highest one so far.
        highest = self._highest.get(ssrc, sequence)
        rollover = highest >> 16
        candidates = [(one << 16) | sequence for one in range(max(0, rollover - 1), rollover + 2)]
        return min(candidates, key=lambda index: abs(index - highest))

    def unprotect(self, packet: bytes) -> tuple[int, bytes]:
        """
        @return: index and plain RTP packet.
        @raise NotAuthentic: the tag is wrong.
        """
        if len(packet) < 12 + self._tag:
            raise NotAuthentic("too short")
        sequence, _, ssrc = struct.unpack_from("!HII", packet, 2)
        index = self._guess(ssrc, sequence)
        body, tag = packet[: -self._tag], packet[-self._tag :]
        self._check(self._keys[1], body + struct.pack("!I", index >> 16), tag)
        self._highest[ssrc] = max(index, self._highest.get(ssrc, 0))
        start = headerLength(body)
        stream = keystream(self._keys[0], self._keys[2], ssrc, index, len(body) - start)
        return index, body[:start] + _xor(body[start:], stream)

    def protect(self, packet: bytes) -> bytes:
        """SRTP of a plain RTP packet whose sequence number goes on from the last."""
        sequence, _, ssrc = struct.unpack_from("!HII", packet, 2)
        index = self._guess(ssrc, sequence)
        self._highest[ssrc] = max(index, self._highest.get(ssrc, 0))
        start = headerLength(packet)
        stream = keystream(self._keys[0], self._keys[2], ssrc, index, len(packet) - start)
        body = packet[:start] + _xor(packet[start:], stream)
        mac = hmac.digest(self._keys[1], body + struct.pack("!I", index >> 16), "sha1")
        return body + mac[: self._tag]

    def unprotectRTCP(self, packet: bytes) -> tuple[int, bytes]:
        """
        @return: index and plain compound packet.
        @raise NotAuthentic: the tag is wrong, or the packet is not encrypted (E bit).
        """
        if len(packet) < 8 + 4 + self._rtcpTag:
            raise NotAuthentic("too short")
        body, tag = packet[: -self._rtcpTag], packet[-self._rtcpTag :]
        self._check(self._rtcpKeys[1], body, tag)
        (word,) = struct.unpack("!I", body[-4:])
        if not word >> 31:
            raise NotAuthentic("RTCP that is not encrypted")
        index, (ssrc,) = word & 0x7FFFFFFF, struct.unpack_from("!I", body, 4)
        stream = keystream(self._rtcpKeys[0], self._rtcpKeys[2], ssrc, index, len(body) - 12)
        return index, body[:8] + _xor(body[8:-4], stream)

    def protectRTCP(self, packet: bytes) -> bytes:
        """SRTCP of a plain compound packet."""
        index = self._rtcpIndex
        self._rtcpIndex += 1
        (ssrc,) = struct.unpack_from("!I", packet, 4)
        stream = keystream(self._rtcpKeys[0], self._rtcpKeys[2], ssrc, index, len(packet) - 8)
        body = packet[:8] + _xor(packet[8:], stream) + struct.pack("!I", index | 1 << 31)
        return body + hmac.digest(self._rtcpKeys[1], body, "sha1")[: self._rtcpTag]

    def _check(self, key: bytes, data: bytes, tag: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(key, data, "sha1")[: len(tag)], tag):
            raise NotAuthentic(f"tag of a packet of {len(data)} octets")


@dataclass
class Decrypted:
    """
    One direction of a captured stream, all of it authenticated.

    @ivar rtp: time, index and plain packet of each RTP packet, in the order of arrival.
    @ivar rtcp: time, index and plain packet of each RTCP packet.
    """

    suite: str
    rtp: list[tuple[float, int, bytes]] = field(default_factory=list)
    rtcp: list[tuple[float, int, bytes]] = field(default_factory=list)

    @property
    def payloads(self) -> list[bytes]:
        """Payloads that are not empty, in the order of arrival."""
        found = [packet[headerLength(packet) :] for _, _, packet in self.rtp]
        return [payload for payload in found if payload]

    @property
    def ssrcs(self) -> set[int]:
        """Synchronisation sources of the RTP packets."""
        return {int.from_bytes(packet[8:12], "big") for _, _, packet in self.rtp}


def decryptAll(
    datagrams: Iterable[Datagram], suite: str, master: bytes, rtcpTag: int = RTCP_TAG
) -> Decrypted:
    """
    Decrypt every datagram of one direction of a stream.

    @param rtcpTag: octets of an SRTCP tag, for peers that do it their own way.
    @raise AssertionError: one is neither SRTP nor SRTCP of this key, its length is not that of
        the plain packet plus the tag, or an index of an SSRC comes twice.
    """
    reference, found = ReferenceSRTP(suite, master, rtcpTag), Decrypted(suite)
    seen: set[tuple[bool, int, int]] = set()
    for one in datagrams:
        rtcp = isRTCP(one.payload)
        try:
            index, plain = (reference.unprotectRTCP if rtcp else reference.unprotect)(one.payload)
        except NotAuthentic as reason:
            raise AssertionError(
                f"from {one.source} to {one.destination}: {reason}: {one.payload[:24].hex()} "
                f"(after {len(found.rtp)} RTP and {len(found.rtcp)} RTCP packets)"
            ) from None
        overhead = 4 + rtcpTag if rtcp else TAGS[suite]
        assert len(one.payload) == len(plain) + overhead, f"{len(one.payload)} octets carry {len(plain)}"
        clear = 8 if rtcp else headerLength(plain)
        assert one.payload[:clear] == plain[:clear], "the header is not in clear"
        assert plain[0] >> 6 == 2, f"decrypted to something that is not RTP: {plain[:24].hex()}"
        ssrc = int.from_bytes(plain[4:8] if rtcp else plain[8:12], "big")
        assert (rtcp, ssrc, index) not in seen, f"index {index} of SSRC {ssrc:08x} was used twice"
        seen.add((rtcp, ssrc, index))
        (found.rtcp if rtcp else found.rtp).append((one.time, index, plain))
    return found


def ffmpegPayload(
    scratch: Path, packets: Sequence[bytes], suite: str, master: bytes, payloadType: int = 8
) -> bytes:
    """
    The payload of SRTP packets as ffmpeg decrypts it: they are sent to it, and at the end an RTCP BYE.

    @param payloadType: 8 or 0, G.711 A-law or mu-law; the octets come back unchanged.
    """
    address = host(61)
    port = takePorts(address, 2)
    codec = {8: "alaw", 0: "mulaw"}[payloadType]
    description, output = scratch / f"ffmpeg-{port}.sdp", scratch / f"ffmpeg-{port}.{codec}"
    key = base64.b64encode(master).decode()
    description.write_text(
        f"v=0\r\no=- 1 1 IN IP4 {host(62)}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/SAVP {payloadType}\r\n"
        f"a=crypto:1 {suite} inline:{key}\r\n"
    )
    ffmpeg = Peer(scratch, f"ffmpeg-{port}")
    ffmpeg.launch(
        [program("ffmpeg"), "-nostdin", "-v", "warning", "-y", "-protocol_whitelist", "file,udp,rtp,srtp"]
        + ["-analyzeduration", "0", "-probesize", "32", "-i", str(description)]
        + ["-c:a", "copy", "-f", codec, str(output)]
    )
    try:
        ffmpeg.waitFor(lambda: listening("udp", address, port), 10, "listen")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((host(62), 0))
            ssrc = packets[-1][8:12]
            # Like baresip it shortens the tag of SRTCP along with that of SRTP.
            protection = ReferenceSRTP(suite, master, TAGS[suite])
            bye = protection.protectRTCP(b"\x80\xc9\0\1" + ssrc + b"\x81\xcb\0\1" + ssrc)
            for packet in packets:
                sender.sendto(packet, (address, port))
                time.sleep(0.001)
            # It ends on an authentic BYE, so it has checked our SRTCP as well.
            time.sleep(0.2)
            sender.sendto(bye, (address, port + 1))
            ffmpeg.waitEnded(10)
    finally:
        ffmpeg.stop()
    return output.read_bytes() if output.exists() else b""
