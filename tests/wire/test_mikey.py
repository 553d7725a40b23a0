"""Tests of L{skypetrunk.wire.mikey} and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.errors import MalformedSDP
from skypetrunk.wire.mikey import (
    ERROR,
    INITIATE,
    MAX_OCTETS,
    VERIFY,
    CryptoSession,
    Message,
    messageIn,
    parseMIKEY,
    protocolsIn,
    sdpValue,
)
from skypetrunk.wire.mikey_payloads import (
    TEK,
    TEK_SALT,
    TGK,
    Extension,
    Failure,
    Identity,
    KeyData,
    KeyTransport,
    MalformedMIKEY,
    Payload,
    Random,
    SecurityPolicy,
    Timestamp,
    UnsupportedMIKEY,
    Verification,
    encodeKeyData,
    parseKeyData,
)
from skypetrunk.wire.mikey_policy import policyOf, suiteOf
from skypetrunk.wire.sdes import SUITES
from tests.wire.vectors import checkAgainst, readJSON

VECTORS: dict[str, Any] = readJSON("mikey/mikey.json")
MESSAGES: dict[str, dict[str, Any]] = {each["id"]: each for each in VECTORS["messages"]}
LONG, SHORT = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
BAD_MAC = "bad-mac"
"""Malformed only for who has the key; see L{tests.core.test_mikey}."""

_NAMES = {
    Timestamp: "T",
    Random: "RAND",
    Identity: "ID",
    SecurityPolicy: "SP",
    KeyTransport: "KEMAC",
}


class VectorTests(SynchronousTestCase):
    """C{tests/vectors/mikey}."""

    def test_messages(self) -> None:
        """Each message has the fields that are given, and is written as it was read."""
        checkAgainst(self, {}, ((name, self.problem(each)) for name, each in MESSAGES.items()))

    def problem(self, vector: dict[str, Any]) -> str | None:
        """What is wrong with a message, or C{None}."""
        octets = bytes.fromhex(vector["hex"])
        message = parseMIKEY(octets)
        fields = vector["fields"]
        seen: dict[str, Any] = {
            "version": 1,
            "data_type": {INITIATE: "PSK init (0)"}[message.type],
            "V": int(message.answered),
            "prf": message.prf,
            "csb_id": f"{message.bundle:08x}",
            "cs": [{"policy": s.policy, "ssrc": f"{s.ssrc:08x}", "roc": s.roc} for s in message.sessions],
            "payloads": [_NAMES[type(each)] for each in message.payloads],
        }
        for payload in message.payloads:
            match payload:
                case Timestamp():
                    seen["timestamp_ntp"] = payload.value.hex()
                case Random():
                    seen["rand"] = payload.value.hex()
                case SecurityPolicy():
                    if suiteOf(payload) != LONG:
                        return "another suite"
                case KeyTransport():
                    problem = self.transportProblem(payload, fields["kemac"])
                    if problem:
                        return problem
        for name, value in seen.items():
            if name in fields and fields[name] != value:
                return f"{name} {value} instead of {fields[name]}"
        if message.encode() != octets:
            return "written as something else"
        if messageIn([vector["sdp"].removeprefix("a=key-mgmt:")]) != octets:
            return "another one in SDP"
        return None if vector["sdp"] == f"a=key-mgmt:{sdpValue(octets)}" else "another attribute"

    def transportProblem(self, transport: KeyTransport, wanted: dict[str, Any]) -> str | None:
        """What is wrong with its keys."""
        algorithms = [("NULL", "AES-CM-128")[transport.encryption]]
        algorithms.append(("NULL", "HMAC-SHA-1-160")[transport.algorithm])
        if algorithms != [wanted["encryption"], wanted["mac"]]:
            return f"protected by {algorithms}"
        if transport.mac.hex() != wanted.get("mac_value", ""):
            return "another MAC"
        if transport.encryption:
            return None if transport.data.hex() == wanted["encrypted"] else "other octets"
        (key,) = parseKeyData(transport.data)
        octets = bytes.fromhex(wanted.get("tgk") or wanted["key_and_salt"])
        identifier = bytes.fromhex(wanted.get("spi", ""))
        right = KeyData({"TGK": TGK, "TEK": TEK}[wanted["key_type"]], octets, identifier=identifier)
        return None if key == right else f"{key}"

    def test_malformed(self) -> None:
        """Each is refused; what only a MAC tells is not refused here."""
        for vector in VECTORS["malformed"]:
            octets = bytes.fromhex(vector["hex"])
            if vector["id"] == BAD_MAC:
                self.assertEqual(parseMIKEY(octets).encode(), octets)
            else:
                self.assertRaises((MalformedMIKEY, UnsupportedMIKEY), parseMIKEY, octets)

    def test_attributes(self) -> None:
        """Lines of SDP: what is no base64 is refused, other protocols are passed over."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in VECTORS["sdp_attribute"]:
                try:
                    seen = "refuse" if messageIn([vector["line"].partition(":")[2]]) else "ignore"
                except MalformedMIKEY:
                    seen = "refuse"
                verdict = vector["expect"].partition(":")[0]
                yield vector["line"], None if seen == verdict else f"{seen} instead of {verdict}"

        checkAgainst(self, {}, results())


def message(*payloads: Payload, **fields: Any) -> Message:
    """A message of the initiator."""
    values: dict[str, Any] = {"type": INITIATE, "answered": True, "prf": 0, "bundle": 1, "sessions": ()}
    return Message(**{**values, **fields}, payloads=payloads)


class MessageTests(SynchronousTestCase):
    """RFC 3830 section 6 beyond the vectors."""

    def refused(self, octets: bytes, kind: type[MalformedSDP], text: str) -> None:
        """C{octets} are refused, in words that name why."""
        self.assertIn(text, str(self.assertRaises(kind, parseMIKEY, octets)))

    def test_cut(self) -> None:
        """Cut anywhere, or with more at its end, a message is refused."""
        octets = bytes.fromhex(MESSAGES["psk-1"]["hex"])
        for end in range(len(octets)):
            self.refused(octets[:end], MalformedMIKEY, "ends early")
        self.refused(octets + b"\0", MalformedMIKEY, "1 octets behind the message")

    def test_bounds(self) -> None:
        """No message is longer than the bound, in octets or in characters."""
        self.refused(bytes(MAX_OCTETS + 1), MalformedMIKEY, "at most")
        for characters in (MAX_OCTETS * 2, MAX_OCTETS * 4 // 3 + 4):
            self.assertRaises(MalformedSDP, self.read, "mikey " + "A" * characters)

    def read(self, value: str) -> Message | None:
        """The message in an attribute."""
        octets = messageIn([value])
        return None if octets is None else parseMIKEY(octets)

    def test_unsupported(self) -> None:
        """What is not known here is refused by its name."""
        octets = bytes.fromhex(MESSAGES["psk-0"]["hex"])
        for kind, text in ((2, "public keys"), (3, "public keys"), (4, "Diffie-Hellman"), (5, "Hellman")):
            self.refused(bytes((1, kind)) + octets[2:], UnsupportedMIKEY, text)
        self.refused(bytes((1, 7)) + octets[2:], MalformedMIKEY, "data type 7")
        self.refused(octets[:9] + b"\1" + octets[10:], UnsupportedMIKEY, "map of crypto sessions of type 1")
        for payload, text in (
            (KeyTransport(1, b"", 9, b""), "MAC algorithm 9"),
            (Verification(2, b""), "MAC algorithm 2"),
        ):
            self.refused(message(payload).encode(), UnsupportedMIKEY, text)
        self.refused(message(Timestamp(3, b"")).encode(), MalformedMIKEY, "time stamp of type 3")

    def test_errors(self) -> None:
        """An error message says why (section 6.12)."""
        read = parseMIKEY(message(Failure(1), type=ERROR).encode())
        self.assertEqual((read.type, read.payloads), (ERROR, (Failure(1),)))
        self.assertEqual((Failure(1).text, Failure(99).text), ("invalid time stamp", "error 99"))

    def test_keyData(self) -> None:
        """Keys with all that may stand beside them (section 6.13); what is none of them is refused."""
        spi, interval = b"\0\x21\0\1K\1I", b"\0\x22\0\1K\1A\2BC"
        self.assertEqual(parseKeyData(spi), (KeyData(TEK, b"K", identifier=b"I"),))
        self.assertEqual(parseKeyData(interval), (KeyData(TEK, b"K", interval=(b"A", b"BC")),))
        self.assertEqual(parseKeyData(b""), ())
        for octets in (spi[:-1], spi + b"\0", b"\1" + spi[1:] + spi, b"\0\x40\0\0", b"\0\x03\0\0", b"\x14"):
            self.assertRaises(MalformedMIKEY, parseKeyData, octets)

    def test_hidden(self) -> None:
        """No key shows."""
        key = KeyData(TGK, b"SECRETSECRETSECR")
        text = repr((key, message(KeyTransport(0, encodeKeyData([key]), 0, b""))))
        self.assertNotIn("SECRET", text)

    def test_attribute(self) -> None:
        """RFC 4567 section 3.1: the first message of ours, whatever stands beside it."""
        values = ["other QUJD", "MIKEY  QUJD ", "mikey REVG"]
        self.assertEqual(messageIn(values), b"ABC")
        self.assertEqual(protocolsIn(values), ("other", "mikey", "mikey"))
        self.assertIsNone(messageIn(values[:1]))
        for value in ("mikey", "mikey QUJ", "mikey QUJ=QUJD", "mikey QU\udc80D", "mikey QUJD QUJD"):
            self.assertRaises(MalformedMIKEY, messageIn, [value])


class PolicyTests(SynchronousTestCase):
    """RFC 3830 section 6.10.1."""

    def changed(self, kind: int, value: int | bytes, suite: str = LONG) -> SecurityPolicy:
        """The policy of a suite with another value of one parameter."""
        octets = bytes((value,)) if isinstance(value, int) else value
        parameters = {**dict(policyOf(suite).parameters), kind: octets}
        return SecurityPolicy(0, 0, tuple(parameters.items()))

    def test_suites(self) -> None:
        """Each suite has a policy that stands for it."""
        for suite in SUITES:
            self.assertEqual(suiteOf(policyOf(suite)), suite)

    def test_defaults(self) -> None:
        """What is not there has its default."""
        self.assertEqual(suiteOf(SecurityPolicy(0, 0, ())), LONG)
        for parameters in (((11, b"\4"),), ((11, b"\0\0\0\4"), (9, b"\1"))):
            self.assertEqual(suiteOf(SecurityPolicy(0, 0, parameters)), SHORT)

    def test_tagElsewhere(self) -> None:
        """GStreamer writes the length of the tag for that of the authentication key."""
        for octets, suite in ((b"\x0a", LONG), (b"\4", SHORT)):
            self.assertEqual(suiteOf(SecurityPolicy(0, 0, ((3, octets),))), suite)

    def test_refused(self) -> None:
        """What is weaker, or not known, is refused by its name."""
        for kind, value, text in (
            (7, 0, "SRTP without encryption"),
            (8, 0, "SRTCP without encryption"),
            (10, 0, "without authentication"),
            (6, 1, "derivation rate"),
            (5, 1, "key derivation"),
            (12, 4, "prefix"),
            (3, 10, "authentication key"),
            (0, 0, "encryption 0"),
            (0, 2, "encryption 2"),
            (2, 0, "authentication 0"),
            (1, 15, "a key of 15"),
            (4, 12, "a salt of 12"),
            (11, 8, "a tag of 8"),
            (13, 1, "parameter 13"),
            (11, b"", "of 0 octets"),
            (11, bytes(5), "of 5 octets"),
        ):
            failure = self.assertRaises(MalformedSDP, suiteOf, self.changed(kind, value))
            self.assertIn(text, str(failure))
        self.assertRaises(UnsupportedMIKEY, suiteOf, self.changed(20, 8, "AEAD_AES_128_GCM"))
        twice = SecurityPolicy(0, 0, ((11, b"\4"), (11, b"\4")))
        self.assertRaises(MalformedMIKEY, suiteOf, twice)
        self.assertRaises(UnsupportedMIKEY, suiteOf, SecurityPolicy(0, 1, ()))


_bytes = st.binary(max_size=20)
_numbers = st.integers(0, 255)
_payloads: st.SearchStrategy[Payload] = st.one_of(
    st.binary(min_size=8, max_size=8).map(lambda value: Timestamp(0, value)),
    st.binary(min_size=4, max_size=4).map(lambda value: Timestamp(2, value)),
    _bytes.map(Random),
    st.builds(Identity, _numbers, _bytes),
    st.builds(Extension, _numbers, _bytes),
    st.builds(Failure, _numbers),
    st.builds(KeyTransport, _numbers, _bytes, st.just(1), st.binary(min_size=20, max_size=20)),
    st.builds(KeyTransport, _numbers, _bytes, st.just(0), st.just(b"")),
    st.builds(Verification, st.just(1), st.binary(min_size=20, max_size=20)),
    st.builds(
        SecurityPolicy, _numbers, _numbers, st.lists(st.tuples(_numbers, _bytes), max_size=4).map(tuple)
    ),
)
_word = st.integers(0, 2**32 - 1)
_messages = st.builds(
    Message,
    st.sampled_from((INITIATE, VERIFY, ERROR)),
    st.booleans(),
    st.integers(0, 127),
    _word,
    st.lists(st.builds(CryptoSession, _numbers, _word, _word), max_size=4).map(tuple),
    st.lists(_payloads, max_size=6).map(tuple),
)
_keys = st.one_of(
    st.builds(KeyData, st.sampled_from((TGK, TEK)), _bytes),
    st.builds(KeyData, st.just(TEK_SALT), _bytes, _bytes),
)


class PropertyTests(SynchronousTestCase):
    """For any value and any octets."""

    @given(_messages)
    def test_roundTrip(self, made: Message) -> None:
        """What is written is read as the same."""
        self.assertEqual(parseMIKEY(made.encode()), made)

    @given(st.lists(_keys, max_size=4).map(tuple))
    def test_keys(self, keys: tuple[KeyData, ...]) -> None:
        """So are keys."""
        self.assertEqual(parseKeyData(encodeKeyData(keys)), keys)

    @given(st.binary(max_size=60))
    def test_anyOctets(self, octets: bytes) -> None:
        """Any octets are read or refused."""
        try:
            read = parseMIKEY(b"\1\0" + octets)
        except (MalformedMIKEY, UnsupportedMIKEY):
            return
        self.assertEqual(parseMIKEY(read.encode()), read)
