"""Tests of L{skypetrunk.wire.sdes}."""

from __future__ import annotations

import pickle
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.sdes import (
    SUITES,
    CryptoAttribute,
    InlineKey,
    MalformedCrypto,
    MasterKey,
    UnsupportedCrypto,
    parseCrypto,
    usableCrypto,
)
from tests.wire.vectors import checkAgainst, readLines

KEY, OTHER = bytes(range(30)), bytes(range(1, 31))
INLINE, INLINE_OTHER = ("inline:" + b64encode(octets).decode() for octets in (KEY, OTHER))
LINE = f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}"


def _verdict(value: str) -> tuple[str, CryptoAttribute | None]:
    try:
        return "valid", parseCrypto(value)
    except UnsupportedCrypto:
        return "unsupported", None
    except MalformedCrypto:
        return "invalid", None


def _asVector(line: CryptoAttribute) -> dict[str, Any]:
    return {
        "tag": line.tag,
        "suite": line.suite,
        "keys": [
            {
                "master_key": key.master.key.hex(),
                "master_salt": key.master.salt.hex(),
                "lifetime": key.lifetime,
                "mki": key.mki,
                "mki_length": key.mkiLength,
            }
            for key in line.keys
        ],
        "session_params": list(line.sessionParameters),
    }


class VectorTests(SynchronousTestCase):
    """The lines of C{sdes/crypto_lines.jsonl}."""

    def test_lines(self) -> None:
        """Each line gets its verdict, and what is taken has the values given."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in readLines("sdes/crypto_lines.jsonl"):
                wanted = vector["verdict"]
                if wanted == "not_crypto":
                    yield vector["id"], "taken" if vector["line"].startswith("a=crypto:") else None
                    continue
                got, line = _verdict(vector["line"].removeprefix("a=crypto").removeprefix(":"))
                allowed = {"either": ("valid", "invalid"), "lenient": ("valid", "invalid")}
                if "or support it" in vector["why"] and line is not None:
                    wanted = "valid"
                problem = None
                if got not in allowed.get(wanted, (wanted,)):
                    problem = f"{got} instead of {wanted}"
                elif line is not None and "parsed" in vector and _asVector(line) != vector["parsed"]:
                    problem = f"{line} instead of what is wanted"
                yield vector["id"], problem

        checkAgainst(self, {}, results())

    def test_lenient(self) -> None:
        """What is merely sloppy, as left-out padding or a space too many, is taken."""
        for vector in readLines("sdes/crypto_lines.jsonl"):
            if vector["verdict"] == "lenient":
                self.assertEqual(_verdict(vector["line"].removeprefix("a=crypto:"))[0], "valid", vector["id"])


class GrammarTests(SynchronousTestCase):
    """Rules beyond the vectors."""

    def test_mkiLengthsDiffer(self) -> None:
        """Several keys have MKIs of one length (RFC 4568 section 6.1)."""
        value = f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}|1:4;{INLINE_OTHER}|2:2"
        self.assertRaises(MalformedCrypto, parseCrypto, value)

    def test_parameterTwice(self) -> None:
        """A session parameter that stands twice says nothing clear."""
        self.assertRaises(MalformedCrypto, parseCrypto, LINE + " KDR=1 KDR=2")
        self.assertEqual(parseCrypto(LINE + " -x -x").sessionParameters, ("-x", "-x"))

    def test_negotiated(self) -> None:
        """Only parameters that both sides must agree on are negotiated (RFC 4568 section 6.3)."""
        line = parseCrypto(LINE + " WSH=64 unencrypted_srtcp -x")
        self.assertEqual(line.negotiated, {"UNENCRYPTED_SRTCP"})

    def test_notDigits(self) -> None:
        """Digits are ASCII."""
        for value in ("\u0661" + LINE[1:], LINE + "|2^\u0662", LINE + "|\u0661:4", LINE + " WSH=6\u0664"):
            self.assertRaises(MalformedCrypto, parseCrypto, value)

    def test_unsupportedSaysWhich(self) -> None:
        """A suite that is not known is named, for the check of an answer."""
        error = self.assertRaises(UnsupportedCrypto, parseCrypto, f"7 f8_128_HMAC_SHA1_80 {INLINE}")
        self.assertEqual((error.tag, error.suite), (7, "F8_128_HMAC_SHA1_80"))

    def test_usable(self) -> None:
        """Lines that cannot be used are skipped, and of two with one tag the first counts."""
        values = ["x", f"1 F8_128_HMAC_SHA1_80 {INLINE}", LINE, f"1 AES_CM_128_HMAC_SHA1_32 {INLINE_OTHER}"]
        self.assertEqual(usableCrypto(values), (parseCrypto(LINE),))

    def test_endless(self) -> None:
        """A line of a megabyte is refused as quickly as a short one."""
        for filler in (" ", "A", "|1:4", ";" + INLINE, " -x"):
            verdict, _ = _verdict(LINE + filler * 100000 + "\0")
            self.assertNotEqual(verdict, "valid")


class HiddenTests(SynchronousTestCase):
    """Keys do not come out by accident."""

    def test_repr(self) -> None:
        """No repr, str or format holds a key in any form."""
        line = parseCrypto(f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4 WSH=64")
        master = line.keys[0].master
        shown = "".join(f"{value!r}{value!s}{value}" for value in (line, line.keys, line.keys[0], master))
        for form in (INLINE[7:], INLINE[7:20], KEY.hex(), master.key.hex(), repr(KEY)[2:20], "inline"):
            self.assertNotIn(form, shown)
        self.assertEqual(repr(line), "<CryptoAttribute 1 AES_CM_128_HMAC_SHA1_80, keys: 1 hidden WSH=64>")

    def test_errors(self) -> None:
        """No error names a piece of a key, also where a key stands in the wrong place."""
        secret = INLINE[7:]
        for value in (
            LINE[:-1],
            LINE + " " + secret,
            f"1 AES_CM_128_HMAC_SHA1_80 {secret}:",
            f"1 AES_CM_128_HMAC_SHA1_80 inline:{secret[:30]} {secret[30:]}",
            f"{secret} AES_CM_128_HMAC_SHA1_80 {INLINE}",
            LINE + "|" + secret,
        ):
            error = self.assertRaises((MalformedCrypto, UnsupportedCrypto), parseCrypto, value)
            for start in range(len(secret) - 6):
                self.assertNotIn(secret[start : start + 6], str(error).upper() + str(error))

    def test_pickle(self) -> None:
        """A key is neither pickled nor copied."""
        self.assertRaises(TypeError, pickle.dumps, MasterKey(KEY[:16], KEY[16:]))

    def test_equal(self) -> None:
        """Keys compare by their octets and can be looked up."""
        one, same, other = (MasterKey(k[:16], k[16:]) for k in (KEY, bytes(KEY), OTHER))
        self.assertEqual(one, same)
        self.assertIn(same, {one})
        self.assertNotEqual(one, other)
        self.assertNotEqual(one, KEY)


@st.composite
def _attributes(draw: st.DrawFn) -> CryptoAttribute:
    suite = SUITES[draw(st.sampled_from(sorted(SUITES)))]
    size = suite.keyOctets + suite.saltOctets
    secrets = draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=3, unique=True))
    withMKI = len(secrets) > 1 or draw(st.booleans())
    length = draw(st.integers(1, 128))
    keys = tuple(
        InlineKey(
            MasterKey(secret[: suite.keyOctets], secret[suite.keyOctets :]),
            draw(st.none() | st.integers(1, 2**48) | st.integers(0, 48).map(lambda n: 2**n)),
            number if withMKI else None,
            length if withMKI else None,
        )
        for number, secret in enumerate(secrets, 1)
    )
    words = ["KDR=0", "KDR=24", "WSH=64", "UNENCRYPTED_SRTP", "FEC_ORDER=SRTP_FEC", "-x=1"]
    parameters = st.sampled_from(words)
    chosen = draw(st.lists(parameters, unique_by=lambda word: word.partition("=")[0]))
    return CryptoAttribute(draw(st.integers(0, 999999999)), suite.name, keys, tuple(chosen))


class PropertyTests(SynchronousTestCase):
    """For any value and any text."""

    @given(_attributes())
    def test_roundTrip(self, line: CryptoAttribute) -> None:
        """What is written is read as the same; so it is when it is not written as usual."""
        self.assertEqual(parseCrypto(line.encode()), line)
        self.assertEqual(parseCrypto(" " + line.encode()), line)

    @given(st.text(alphabet="1 AESCM_0123456789inline:|^;=+/\t-\udc80", max_size=80))
    def test_anyText(self, text: str) -> None:
        """Any text is read or refused."""
        self.assertIn(_verdict(LINE[:27] + text)[0], ("valid", "invalid", "unsupported"))
