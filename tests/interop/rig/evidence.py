"""One captured call, judged: the carrier side's packets, decrypted, and what was said in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interop.rig.audio import Verdict, decodeG711, judge
from tests.interop.rig.capture import Capture, Datagram, media
from tests.interop.rig.sip import AgreedKeys
from tests.interop.rig.srtp import TAGS, Decrypted, decryptAll, ffmpegPayload, headerLength

_STUN_COOKIE = bytes.fromhex("2112a442")


@dataclass(frozen=True)
class SecureLeg:
    """Both directions of one SRTP leg, seen from the phone whose ports were watched."""

    toPhone: Decrypted
    fromPhone: Decrypted


def _phonesOwnClear(datagram: Datagram) -> bool:
    # baresip opens the path with an APP "PINGPONG" and closes it with a BYE, both in clear before
    # and after its own SRTP; linphone opens it with STUN (RFC 5389).  The trunk never sends such a thing,
    # so only the phone is excused.
    if datagram.payload[:2] == b"\0\1" and datagram.payload[4:8] == _STUN_COOKIE:
        return True
    kind = datagram.payload[1] if len(datagram.payload) > 1 else 0
    return kind == 203 or (kind == 204 and b"PING" in datagram.payload)


def secureLeg(
    scratch: Path,
    capture: Capture,
    ports: Sequence[int],
    keys: AgreedKeys,
    *,
    phoneOffered: bool,
    trunk: bool = True,
    ffmpeg: bool = True,
    payloadType: int = 8,
) -> SecureLeg:
    """
    Decrypt every datagram that reached or left the phone's media C{ports}, with the reference and,
    RTP, once more with ffmpeg, whose octets have to be the same.

    @param payloadType: 8 or 0, the codec of the call.
    @param trunk: the far end is the trunk, of whose packets every single one has to be SRTP or SRTCP.
    @raise AssertionError: one of them is not SRTP or SRTCP of the agreed keys.
    """
    theirs, ours = (keys.offerer, keys.answerer) if phoneOffered else (keys.answerer, keys.offerer)
    incoming, outgoing = capture.to(ports), capture.sentFrom(ports)
    outgoing = [one for one in outgoing if not _phonesOwnClear(one)]
    if not trunk:
        incoming = [one for one in incoming if not _phonesOwnClear(one)]
    leg = SecureLeg(
        decryptAll(incoming, keys.suite, ours),
        # baresip shortens the tag of SRTCP along with that of SRTP, against RFC 4568 section 6.2.2.
        decryptAll(outgoing, keys.suite, theirs, TAGS[keys.suite]),
    )
    for datagrams, found, key in ((incoming, leg.toPhone, ours), (outgoing, leg.fromPhone, theirs)):
        # Empty packets are RFC 6263 keep-alives, which ffmpeg's decoder has no use for.
        packets = [one.payload for one in media(datagrams)]
        if not packets or not ffmpeg:
            continue
        second = ffmpegPayload(scratch, packets, keys.suite, key, payloadType)
        first = b"".join(found.payloads)
        assert second == first, f"ffmpeg decrypts {len(second)} octets, the reference {len(first)}"
    return leg


def judgePayloads(found: Decrypted, tone: int, payloadType: int = 8) -> Verdict:
    """Judge what was said in one direction of a leg, in the order of arrival."""
    return judge(decodeG711(b"".join(found.payloads), payloadType), tone)


def judgeRTP(packets: Sequence[bytes], tone: int, payloadType: int = 8) -> Verdict:
    """Judge plain RTP packets, in the order given."""
    payload = b"".join(packet[headerLength(packet) :] for packet in packets)
    return judge(decodeG711(payload, payloadType), tone)


def firstHeard(packets: Sequence[tuple[float, bytes]], tone: int, payloadType: int = 8) -> float:
    """When the first plain RTP packet arrived that holds the tone; infinite if none did."""
    for when, packet in packets:
        verdict = judge(decodeG711(packet[headerLength(packet) :], payloadType), tone)
        if verdict.right:
            return when
    return math.inf
