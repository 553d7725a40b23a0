"""Tests of L{skypetrunk.core.mikey_keys}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.core.mikey_keys import (
    AUTHENTICATION_LABEL,
    ENCRYPTION_LABEL,
    MESSAGE_AUTHENTICATION_LABEL,
    MESSAGE_ENCRYPTION_LABEL,
    MESSAGE_SALT_LABEL,
    MESSAGE_SESSION,
    SALT_LABEL,
    TEK_LABEL,
    Bundle,
    bundleOf,
    messageKeys,
    prf,
)
from skypetrunk.wire.mikey import parseMIKEY
from skypetrunk.wire.mikey_payloads import (
    TEK,
    TEK_SALT,
    TGK,
    KeyData,
    KeyTransport,
    Random,
    Timestamp,
    UnsupportedMIKEY,
    parseKeyData,
)
from skypetrunk.wire.sdes import MasterKey
from tests.wire.test_mikey import MESSAGES, VECTORS, message
from tests.wire.vectors import checkAgainst

SUITE = "AES_CM_128_HMAC_SHA1_80"
LABELS = {
    "TEK": TEK_LABEL,
    "salt": SALT_LABEL,
    "auth": AUTHENTICATION_LABEL,
    "encr": ENCRYPTION_LABEL,
    "message encr": MESSAGE_ENCRYPTION_LABEL,
    "message salt": MESSAGE_SALT_LABEL,
    "message auth": MESSAGE_AUTHENTICATION_LABEL,
}


class VectorTests(SynchronousTestCase):
    """C{tests/vectors/mikey}."""

    def test_derivations(self) -> None:
        """Sections 4.1.2 to 4.1.4, and RFC 6043 section 6.1: keys from keys."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in VECTORS["prf"]:
                yield vector["id"], self.problem(vector)

        checkAgainst(self, {}, results())

    def problem(self, vector: dict[str, Any]) -> str | None:
        """What is wrong with what is derived, or C{None}."""
        function = int("SHA-256" in vector["prf"])
        if "inkey" in vector:
            key, label = bytes.fromhex(vector["inkey"]), bytes.fromhex(vector["label"])
            made = prf(key, label, vector["outkey_octets"], function)
            return None if made.hex() == vector["outkey"] else made.hex()
        bundle = Bundle(int(vector["csb_id"], 16), bytes.fromhex(vector["rand"]), function)
        key = bytes.fromhex(vector.get("tgk") or vector["psk"])
        for each in vector["derive"]:
            session = vector.get("cs_id", MESSAGE_SESSION)
            made = bundle.derive(key, LABELS[each["constant"]], session, each["octets"])
            if made.hex() != each["value"]:
                return f"{each['constant']} {made.hex()}"
        return None

    def test_messages(self) -> None:
        """Each message with a pre-shared key: its own keys, its MAC, what it encrypts, and the SRTP keys."""

        def results() -> Iterator[tuple[str, str | None]]:
            for name, vector in MESSAGES.items():
                if "psk" in vector:
                    yield name, self.messageProblem(vector)

        checkAgainst(self, {}, results())

    def messageProblem(self, vector: dict[str, Any]) -> str | None:
        """What is wrong with a message, or C{None}."""
        octets = bytes.fromhex(vector["hex"])
        read = parseMIKEY(octets)
        bundle = bundleOf(read)
        keys = messageKeys(bytes.fromhex(vector["psk"]), bundle)
        seen = {"encr": keys.encryption.hex(), "salt": keys.salt.hex(), "auth": keys.authentication.hex()}
        if seen != vector["message_keys"]:
            return f"{seen}"
        time, transport = read.payloads[0], read.payloads[-1]
        assert isinstance(time, Timestamp) and isinstance(transport, KeyTransport)
        if keys.mac(octets[: -len(transport.mac)]) != transport.mac:
            return "another MAC"
        data = transport.data
        if transport.encryption:
            data = keys.crypt(bundle, time, data)
        if data.hex() != vector["fields"]["kemac"]["plain"]:
            return f"decrypted as {data.hex()}"
        (key,) = parseKeyData(data)
        for wanted in vector["srtp_master"]:
            made = bundle.master(key, wanted["cs_id"], SUITE)
            right = MasterKey(bytes.fromhex(wanted["master_key"]), bytes.fromhex(wanted["master_salt"]))
            if made != right:
                return f"crypto session {wanted['cs_id']} has another key"
        return None

    def test_transported(self) -> None:
        """A key that is used as it is, with its salt behind it in one field or in two."""
        vector = MESSAGES["rtsp-null-kemac"]
        read = parseMIKEY(bytes.fromhex(vector["hex"]))
        transport = read.payloads[-1]
        assert isinstance(transport, KeyTransport)
        (key,) = parseKeyData(transport.data)
        octets = bytes.fromhex(vector["fields"]["kemac"]["key_and_salt"])
        wanted = MasterKey(octets[:16], octets[16:])
        bundle = bundleOf(read)
        self.assertEqual(bundle.master(key, 1, SUITE), wanted)
        self.assertEqual(bundle.master(KeyData(TEK_SALT, octets[:16], octets[16:]), 2, SUITE), wanted)


class RefusedTests(SynchronousTestCase):
    """What makes no key."""

    def test_functions(self) -> None:
        """A function that is not known, or takes a key in a way that is not."""
        self.assertRaises(UnsupportedMIKEY, prf, bytes(16), b"", 16, 2)
        self.assertRaises(UnsupportedMIKEY, prf, bytes(33), b"", 16, 1)
        self.assertEqual(len(prf(bytes(33), b"", 16, 0)), 16)

    def test_sizes(self) -> None:
        """A key without a salt, or of another length than the suite's; a type that derives in another way."""
        bundle = Bundle(1, bytes(16))
        for key in (KeyData(TEK, bytes(16)), KeyData(TEK_SALT, bytes(16), bytes(12)), KeyData(1, bytes(16))):
            self.assertRaises(UnsupportedMIKEY, bundle.master, key, 1, SUITE)
        self.assertEqual(len(bundle.master(KeyData(TGK, bytes(16)), 1, "AES_256_CM_HMAC_SHA1_80").key), 32)

    def test_random(self) -> None:
        """Section 6.11: one RAND of 16 octets at least."""
        for payloads in ((), (Random(bytes(15)),), (Random(bytes(16)), Random(bytes(16)))):
            self.assertRaises(UnsupportedMIKEY, bundleOf, message(*payloads))

    def test_repr(self) -> None:
        """No key shows."""
        self.assertEqual(repr(messageKeys(bytes(16), Bundle(1, bytes(16)))), "MessageKeys(<hidden>)")
