"""
The SRTP vectors (C{tests/vectors/srtp}): all of them against L{skypetrunk.media.own_srtp}; against
L{skypetrunk.media.srtp} those that libsrtp's interface can be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import PacketRefused
from skypetrunk.interfaces import IPacketGuard
from skypetrunk.media.own_srtp import KeyedMKI, OwnGuard, SessionParameters
from skypetrunk.media.srtp import PROFILES, InPlaceGuard, PublicGuard
from skypetrunk.media.srtp_keys import counterMode, counterOf, derive, nonceOf, seal, unseal
from skypetrunk.wire.sdes import SUITES, MasterKey

VECTORS = Path(__file__).parent.parent / "vectors" / "srtp"

Vector = dict[str, Any]
Play = Callable[[Vector], str | None]


def packetScenarios() -> Iterator[Vector]:
    """Each line of C{packets.jsonl}."""
    for line in (VECTORS / "packets.jsonl").read_text().splitlines():
        yield json.loads(line)


def rfcVectors(*kinds: str) -> list[Vector]:
    """The vectors of the RFCs of these kinds."""
    return [
        vector
        for vector in json.loads((VECTORS / "rfc_vectors.json").read_text())["vectors"]
        if vector["kind"] in kinds
    ]


def rfcScenarios() -> Iterator[Vector]:
    """The whole packets of the RFCs and of libsrtp's own test, in the form of C{packets.jsonl}."""
    for vector in rfcVectors("packets"):
        vector["keys"] = [{name: vector[name] for name in ("master_key", "master_salt", "mki")}]
        vector["mki_length"] = len(vector["mki"]) // 2
        vector["steps"] = [
            step
            for packet in vector["packets"]
            for step in (
                packet | {"op": "protect_" + packet["type"], "key": 0, "expect": packet["protected"]},
                packet | {"op": "unprotect_" + packet["type"], "packet": packet["protected"], "expect": "ok"},
            )
        ]
        yield vector


class _Own:
    """The guards of a scenario, made by us."""

    def __init__(self, scenario: Vector) -> None:
        options = scenario["options"]
        self.keys = [
            KeyedMKI(
                MasterKey(bytes.fromhex(each["master_key"]), bytes.fromhex(each["master_salt"])),
                bytes.fromhex(each["mki"]),
            )
            for each in scenario["keys"]
        ]
        self.parameters = SessionParameters(
            encryptRTP=not options.get("UNENCRYPTED_SRTP"),
            encryptRTCP=not options.get("UNENCRYPTED_SRTCP"),
            authenticateRTP=not options.get("UNAUTHENTICATED_SRTP"),
            rate=options.get("kdr", 0),
        )
        self.rollOver = {int(ssrc, 16): count for ssrc, count in scenario.get("initial_roc", {}).items()}
        self.suite = scenario["suite"]
        self.sender = OwnGuard(self.suite, self.keys, True, self.parameters, self.rollOver)
        self.receiver = OwnGuard(self.suite, self.keys, False, self.parameters, self.rollOver)
        self.nextIndex: dict[int, int] = {}

    def protect(self, kind: str, step: Vector) -> bytes:
        """One step of the sender, with the SRTCP index that the step wants."""
        plain = bytes.fromhex(step["plain"])
        guard = self.sender
        if kind == "rtcp" and "index" in step:
            ssrc = int.from_bytes(plain[4:8], "big")
            if step["index"] != self.nextIndex.get(ssrc, 0):
                guard = OwnGuard(
                    self.suite, self.keys, True, self.parameters, rtcpIndex={ssrc: step["index"]}
                )
            else:
                self.nextIndex[ssrc] = step["index"] + 1
        guard.select(self.keys[step["key"]].mki)
        return bytes(getattr(guard, kind)(plain))

    def unprotect(self, kind: str, step: Vector) -> bytes:
        """One step of the receiver."""
        return bytes(getattr(self.receiver, kind)(bytes.fromhex(step["packet"])))


class _Lib:
    """The guards of a scenario, made by libsrtp."""

    make: Callable[[str, MasterKey, bool], IPacketGuard]

    def __init__(self, scenario: Vector) -> None:
        key = MasterKey(*(bytes.fromhex(scenario["keys"][0][name]) for name in ("master_key", "master_salt")))
        self.sender = self.make(scenario["suite"], key, True)
        self.receiver = self.make(scenario["suite"], key, False)

    def protect(self, kind: str, step: Vector) -> bytes:
        """One step of the sender."""
        return bytes(getattr(self.sender, kind)(bytes.fromhex(step["plain"])))

    def unprotect(self, kind: str, step: Vector) -> bytes:
        """One step of the receiver."""
        return bytes(getattr(self.receiver, kind)(bytes.fromhex(step["packet"])))


class _InPlace(_Lib):
    make = InPlaceGuard


class _Public(_Lib):
    make = PublicGuard


def forLib(scenario: Vector, largest: int) -> bool:
    """Whether libsrtp's interface can be asked this: it takes one key, and counts from the beginning."""
    count = {"rtp": 0, "rtcp": 1}
    for step in scenario["steps"]:
        role, kind = step["op"].split("_")
        if len(step["plain" if role == "protect" else "packet"]) // 2 > largest:
            return False
        if role == "protect" and kind == "rtcp" and "index" in step:
            if step["index"] != count["rtcp"]:
                return False
            count["rtcp"] += 1
    return (
        scenario["suite"] in PROFILES
        and not scenario["mki_length"]
        and not any(scenario["options"].get(name) for name in scenario["options"] if name != "window")
        and not scenario.get("initial_roc")
    )


def play(scenario: Vector, make: Callable[[Vector], _Own | _Lib]) -> str | None:
    """
    Play one scenario.

    @return: C{None}, or what is wrong.
    """
    guards = make(scenario)
    for number, step in enumerate(scenario["steps"]):
        role, kind = step["op"].split("_")
        expected = step["expect"]
        try:
            seen = getattr(guards, role)(kind, step).hex()
        except PacketRefused as refusal:
            if role == "protect" or expected == "ok":
                return f"step {number}: refused, {refusal.reason}"
            continue
        wanted = expected if role == "protect" else step.get("plain") if expected == "ok" else None
        if seen != wanted:
            return f"step {number}: {seen} instead of {wanted or expected}"
    return None


class ScenarioTests(SynchronousTestCase):
    """Packets."""

    def check(self, scenarios: list[Vector], make: Callable[[Vector], _Own | _Lib], atLeast: int) -> None:
        """Play C{scenarios}, of which none may fail."""
        self.assertGreaterEqual(len(scenarios), atLeast)
        results = {scenario["id"]: play(scenario, make) for scenario in scenarios}
        self.assertEqual({name: wrong for name, wrong in results.items() if wrong is not None}, {})

    def test_own(self) -> None:
        """Every scenario, those that are optional too."""
        self.check(list(packetScenarios()), _Own, 154)
        self.check(list(rfcScenarios()), _Own, 6)

    def test_inPlace(self) -> None:
        """Those for libsrtp, through the private binding."""
        scenarios = [one for one in packetScenarios() if forLib(one, 1500)]
        self.check(scenarios, _InPlace, 67)
        self.assertEqual({one["suite"] for one in scenarios}, set(PROFILES))
        self.check([one for one in rfcScenarios() if forLib(one, 1500)], _InPlace, 2)

    def test_public(self) -> None:
        """Those for libsrtp, through the public call, which takes less than a datagram can hold."""
        self.check([one for one in packetScenarios() if forLib(one, 1356)], _Public, 63)
        self.check([one for one in rfcScenarios() if forLib(one, 1356)], _Public, 2)


class CipherTests(SynchronousTestCase):
    """What the RFCs show of the inside."""

    def test_kinds(self) -> None:
        """There is no kind of vector but those shown here; f8 mode belongs to no suite that we have."""
        shown = rfcVectors("packets", "aes-cm-keystream", "kdf", "gcm-rtp", "gcm-rtcp")
        f8 = rfcVectors("aes-f8")
        everything = json.loads((VECTORS / "rfc_vectors.json").read_text())["vectors"]
        self.assertEqual(len(shown) + len(f8), len(everything))
        self.assertEqual([vector["optional"] for vector in f8], [True])
        self.assertNotIn("F8_128_HMAC_SHA1_80", SUITES)

    def test_keystream(self) -> None:
        """AES-128, AES-192 and AES-256 in counter mode."""
        vectors = rfcVectors("aes-cm-keystream")
        self.assertEqual(len(vectors), 3)
        for vector in vectors:
            key = bytes.fromhex(vector["session_key"])
            salt = bytes.fromhex(vector["session_salt_shifted"])[:14]
            index = vector["roc"] << 16 | vector["seq"]
            counter = counterOf(salt, vector["ssrc"], index)
            self.assertEqual(counter.hex(), vector["initial_counter"])
            stream = counterMode(key, counter, bytes(vector["segment_octets"]))
            for block in vector["blocks"]:
                start = 16 * block["index"]
                self.assertEqual(stream[start : start + 16].hex(), block["keystream"])

    def test_derivation(self) -> None:
        """Keys, salts and keys of tags, of three lengths of master key."""
        vectors = rfcVectors("kdf")
        self.assertEqual(len(vectors), 3)
        for vector in vectors:
            master = bytes.fromhex(vector["master_key"]), bytes.fromhex(vector["master_salt"])
            for output in vector["outputs"]:
                self.assertEqual(derive(*master, output["label"], output["octets"]).hex(), output["value"])

    def test_gcm(self) -> None:
        """AES-GCM of RTP and RTCP, encrypted and with a tag only."""
        vectors = rfcVectors("gcm-rtp", "gcm-rtcp")
        self.assertEqual(len(vectors), 8)
        for vector in vectors:
            plain = bytes.fromhex(vector["plain"])
            encrypt = vector["mode"] == "encrypt"
            if vector["kind"] == "gcm-rtp":
                octets, word = 12, b""
                ssrc = int.from_bytes(plain[8:12], "big")
                index = vector["roc"] << 16 | int.from_bytes(plain[2:4], "big")
            else:
                octets, index = 8, vector["srtcp_index"]
                ssrc = int.from_bytes(plain[4:8], "big")
                word = (index | encrypt << 31).to_bytes(4, "big")
            nonce = nonceOf(bytes.fromhex(vector["session_salt"]), ssrc, index)
            self.assertEqual(nonce.hex(), vector["iv"])
            aead = AESGCM(bytes.fromhex(vector["session_key"]))
            sealed = seal(aead, nonce, plain[:octets], plain[octets:], encrypt, word)
            self.assertEqual((sealed + word).hex(), vector["protected"])
            self.assertEqual(unseal(aead, nonce, sealed[:octets], sealed[octets:], encrypt, word), plain)
