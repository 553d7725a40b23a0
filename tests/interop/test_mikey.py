"""
MIKEY messages before foreign eyes: GStreamer reads ours and writes some for us, without a pre-shared key as
it knows none; Wireshark reads those with one.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
from pathlib import Path

from skypetrunk.core.mikey import MIKEY, MIKEYPeer
from skypetrunk.core.mikey_keys import Bundle
from skypetrunk.wire.mikey import INITIATE, VERIFY, Message, messageIn, parseMIKEY, sdpValue
from skypetrunk.wire.mikey_payloads import (
    TEK,
    TGK,
    KeyData,
    KeyTransport,
    SecurityPolicy,
    Verification,
    parseKeyData,
)
from skypetrunk.wire.mikey_policy import suiteOf
from skypetrunk.wire.sdes import MasterKey
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from skypetrunk.wire.secret import Secret
from tests.interop.rig.case import InteropCase
from tests.interop.rig.gstreamer import fromCaps, readMessage, writeMessage
from tests.interop.rig.srtp_filters import GSTREAMER

_PORT = 2269
"""Of MIKEY itself (RFC 3830 section 10)."""

_AS_MIKEY = ("-d", f"udp.port=={_PORT},mikey")


def described(octets: bytes) -> SessionDescription:
    """A description whose stream has that message."""
    return parseSDP(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 4000 RTP/SAVP 8\r\n" + f"a=key-mgmt:{sdpValue(octets)}\r\n".encode()
    )


def agreement(*suites: str, key: Secret | None = None) -> MIKEY:
    """One leg of a trunk."""
    return MIKEYPeer(key, time.time).agreement(suites, os.urandom)


def offered(keys: MIKEY) -> bytes:
    """The message that it offers."""
    ((_, value),) = keys.offer()
    octets = messageIn([value or ""])
    assert octets is not None
    return octets


def keyIn(message: Message) -> KeyData:
    """The key of a message in clear."""
    transport = message.payloads[-1]
    assert isinstance(transport, KeyTransport)
    (key,) = parseKeyData(transport.data)
    return key


class GStreamerTests(InteropCase):
    """Keys in clear."""

    def test_ours(self) -> None:
        """It reads our message of each suite as we mean it, and writes it again with the same octets."""
        for suite, names in GSTREAMER.items():
            octets = offered(agreement(suite))
            ours = parseMIKEY(octets)
            seen = readMessage(octets)
            self.assertEqual((seen["type"], seen["verify"], seen["bundle"]), (INITIATE, True, ours.bundle))
            self.assertEqual(seen["sessions"], [[s.policy, s.ssrc, s.roc] for s in ours.sessions])
            # Time stamp, random octets, policy, keys.
            self.assertEqual(seen["payloads"], [5, 11, 10, 1])
            self.assertEqual(seen["keys"], [[TGK, keyIn(ours).key.hex()]])
            self.assertEqual(seen["written"], octets.hex())
            told = dict(re.findall(r"([\w-]+)=\(string\)([\w-]+)", seen["caps"]))
            self.assertEqual(told["srtp-cipher"], names[0], suite)
            # It takes the length of a tag from the wrong parameter; see test_theirStreams.
            if not suite.endswith("_32"):
                self.assertEqual(told["srtp-auth"], names[1], suite)

    def test_theirs(self) -> None:
        """We take a message that it has written, with the keys that are made of the one inside."""
        key, random = os.urandom(16), os.urandom(16)
        suite = "AES_CM_128_HMAC_SHA1_32"
        attributes, pair = agreement(suite).answer(described(writeMessage(0xCAFEBABE, key, random)), 0)
        # It asked for no response.
        self.assertEqual(attributes, ())
        bundle = Bundle(0x12345678, random)
        self.assertEqual((pair.suite, pair.remote), (suite, bundle.master(KeyData(TGK, key), 1, suite)))
        self.assertEqual(pair.local, bundle.master(KeyData(TGK, key), 2, suite))

    def test_theirStreams(self) -> None:
        """What it writes for a stream of its own, as an RTSP server: suite and key are read."""
        for suite, (cipher, tag) in GSTREAMER.items():
            if tag == "null":
                continue
            octets = os.urandom(46 if "256" in suite else 30)
            caps = f"srtp-cipher=(string){cipher}, srtp-auth=(string){tag}, srtcp-cipher=(string){cipher}"
            caps += f", srtcp-auth=(string){tag}, srtp-key=(buffer){octets.hex()}"
            message = parseMIKEY(fromCaps(f"application/x-srtp, {caps}"))
            (policy,) = (each for each in message.payloads if isinstance(each, SecurityPolicy))
            self.assertEqual(suiteOf(policy), suite)
            key = keyIn(message)
            self.assertEqual(key, KeyData(TEK, octets))
            length = len(octets) - 14
            master = Bundle(message.bundle, bytes(16)).master(key, 1, suite)
            self.assertEqual(master, MasterKey(octets[:length], octets[length:]))


class WiresharkTests(InteropCase):
    """Keys that a pre-shared key protects."""

    def test_exchange(self) -> None:
        """Our offer and our response: each field is read as we mean it, and nothing is left over."""
        key = Secret("00112233445566778899aabbccddeeff")
        offerer, answerer = agreement("AES_CM_128_HMAC_SHA1_80", key=key), agreement(*GSTREAMER, key=key)
        offer = offered(offerer)
        attributes, _ = answerer.answer(described(offer), 0)
        answer = messageIn([attributes[0][1] or ""])
        assert answer is not None
        seen = self.dissected([offer, answer])
        for octets, fields in zip((offer, answer), seen, strict=True):
            message = parseMIKEY(octets)
            self.assertEqual(fields["_ws.malformed"], "")
            self.assertEqual(fields["mikey.type"], str(message.type))
            self.assertEqual(int(fields["mikey.csb_id"], 0), message.bundle)
            ssrcs = [int(each, 0) for each in fields["mikey.srtp_id.ssrc"].split(",")]
            self.assertEqual(ssrcs, [each.ssrc for each in message.sessions])
        self.assertEqual([each["mikey.type"] for each in seen], [str(INITIATE), str(VERIFY)])
        transport, proof = (parseMIKEY(octets).payloads[-1] for octets in (offer, answer))
        assert isinstance(transport, KeyTransport) and isinstance(proof, Verification)
        self.assertEqual(seen[0]["mikey.kemac.mac"].replace(":", ""), transport.mac.hex())
        self.assertEqual((seen[0]["mikey.kemac.encr_alg"], seen[0]["mikey.sp.auth_tag_len"]), ("1", "10"))
        self.assertEqual(seen[1]["mikey.v.ver_data"].replace(":", ""), proof.mac.hex())

    def dissected(self, messages: list[bytes]) -> list[dict[str, str]]:
        """What it reads in each of these messages; of SDP it reads them on the session's level only."""
        path = self.scratch / "messages.pcap"
        path.write_bytes(capture(messages))
        names = ["mikey.type", "mikey.csb_id", "mikey.srtp_id.ssrc", "mikey.kemac.encr_alg"]
        names += ["mikey.kemac.mac", "mikey.sp.auth_tag_len", "mikey.v.ver_data", "_ws.malformed"]
        fields = [word for name in names for word in ("-e", name)]
        shown = subprocess.run(
            ["tshark", "-r", path, *_AS_MIKEY, "-T", "fields", "-E", "separator=|", *fields],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "HOME": str(Path(self.scratch))},
        ).stdout
        return [dict(zip(names, line.split("|"), strict=True)) for line in shown.splitlines()]


def capture(datagrams: list[bytes]) -> bytes:
    """A pcap file of these, as IPv4 without a link layer (type 228)."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228)
    for each in datagrams:
        udp = struct.pack("!HHHH", _PORT, _PORT, 8 + len(each), 0) + each
        addresses = bytes((192, 0, 2, 1, 192, 0, 2, 2))
        packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses + udp
        octets += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
    return octets
