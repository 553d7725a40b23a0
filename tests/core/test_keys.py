"""Tests of L{skypetrunk.core.keys}."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.crypto_attributes import CryptoAttributes
from skypetrunk.core.keys import SecurityDescriptions, troubles
from skypetrunk.errors import KeyAgreementFailed
from skypetrunk.interfaces import DeclaredKeys, IKeyAgreement
from skypetrunk.wire.sdes import SUITES, CryptoAttribute, InlineKey, MasterKey

LONG, SHORT, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"


def countingEntropy() -> Callable[[int], bytes]:
    """Octets that are never the same twice."""
    numbers = count(1)
    return lambda octets: next(numbers).to_bytes(octets, "big")


def theirs(
    tag: int, suite: str, *parameters: str, mki: int | None = None, lifetime: int | None = None
) -> CryptoAttribute:
    """A peer's line."""
    known = SUITES[suite]
    master = MasterKey(bytes(known.keyOctets), bytes(known.saltOctets))
    return CryptoAttribute(tag, suite, (InlineKey(master, lifetime, mki, 1 if mki else None),), parameters)


def several(tag: int, *lifetimes: int | None) -> CryptoAttribute:
    """A peer's line with a key for each lifetime, with its number as MKI."""
    keys = [InlineKey(MasterKey(bytes([n]) * 16, bytes(14)), each, n, 1) for n, each in enumerate(lifetimes)]
    return CryptoAttribute(tag, LONG, tuple(keys))


class OfferTests(SynchronousTestCase):
    """We offer."""

    def setUp(self) -> None:
        """Two suites are allowed."""
        self.keys = SecurityDescriptions((LONG, SHORT), countingEntropy())

    def test_interface(self) -> None:
        """In SDP it is what sessions ask for."""
        self.assertTrue(verifyObject(IKeyAgreement, CryptoAttributes(self.keys)))

    def test_offer(self) -> None:
        """One line for each suite in order of preference, each with a key of its own."""
        lines = self.keys.offer()
        self.assertEqual([(line.tag, line.suite) for line in lines], [(1, LONG), (2, SHORT)])
        self.assertNotEqual(lines[0].keys[0].master, lines[1].keys[0].master)
        self.assertEqual(self.keys.offer(), lines)

    def test_rfc4568_5_1_3_answer(self) -> None:
        """The answer chooses: our key of that suite, and the peer's."""
        lines = self.keys.offer()
        pair = self.keys.answered([theirs(2, SHORT)])
        self.assertEqual((pair.suite, pair.local), (SHORT, lines[1].keys[0].master))
        self.assertEqual(pair.remote, theirs(2, SHORT).keys[0].master)

    def test_rfc4568_5_1_3_refused(self) -> None:
        """None or two lines, a tag or suite that was not offered, what cannot be used: refused."""
        self.keys.offer()
        for lines, wanted in (
            ([], "0 crypto lines"),
            ([theirs(1, LONG), theirs(2, SHORT)], "2 crypto lines"),
            ([theirs(3, LONG)], "tag 3, offered were \\[1, 2\\]"),
            ([theirs(1, SHORT)], f"{SHORT} under tag 1, offered was {LONG}"),
            ([theirs(1, LONG, "UNENCRYPTED_SRTP")], "asks for UNENCRYPTED_SRTP"),
            ([theirs(1, LONG, lifetime=2**16 - 1)], "lifetime of 65535 packets, 65536 at least"),
        ):
            failure = self.assertRaises(KeyAgreementFailed, self.keys.answered, lines)
            self.assertRegex(str(failure), wanted)
            self.assertEqual(failure.status, 488)

    def test_ownKey(self) -> None:
        """A peer that gives a key of ours as its own is refused: whoever sent ours back would be heard."""
        for place, line in enumerate(self.keys.offer()):
            for key in line.keys[0], self.keys.offer(fresh=True)[place].keys[0]:
                answer = CryptoAttribute(place + 1, line.suite, (key,), ())
                failure = self.assertRaises(KeyAgreementFailed, self.keys.answered, [answer])
                self.assertEqual((str(failure)[-17:], failure.status), ("has a key of ours", 488))
        own = CryptoAttribute(3, LONG, self.keys.offer()[1].keys, ())
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, [own])
        self.assertIn(f"{LONG} has a key of ours;", str(failure))
        self.assertEqual(self.keys.answer([own, theirs(4, LONG)])[0].tag, 4)

    def test_harmlessParameters(self) -> None:
        """
        A window size, an order of FEC without FEC, a rate of none, and what is marked as optional change
        nothing (section 6.3), in whatever case they are written; nor does a lifetime that is long enough.
        """
        self.keys.offer()
        line = theirs(1, LONG, "wsh=128", "FEC_ORDER=SRTP_FEC", "KDR=0", "-unknown", lifetime=2**16)
        self.assertEqual(self.keys.answered([line]).suite, LONG)

    def test_nothingAgreedBefore(self) -> None:
        """An answer that is not taken in the end leaves all suites on offer, with their keys."""
        lines = self.keys.offer()
        self.keys.answered([theirs(2, SHORT)])
        self.assertIsNone(self.keys.agreed)
        self.assertEqual(self.keys.offer(), lines)

    def test_laterOffers(self) -> None:
        """What was agreed is offered alone, with the same key."""
        lines = self.keys.offer()
        self.keys.agree(self.keys.answered([theirs(2, SHORT)]))
        again = self.keys.offer()
        self.assertEqual([(line.tag, line.suite) for line in again], [(1, SHORT)])
        self.assertEqual(again[0].keys, lines[1].keys)

    def test_branches(self) -> None:
        """Branches answer with suites of their own, in turn: each has the key that it was offered."""
        lines = self.keys.offer()
        for place, suite in ((0, LONG), (1, SHORT), (0, LONG), (1, SHORT)):
            pair = self.keys.answered([theirs(place + 1, suite)])
            self.keys.agree(pair)
            self.assertEqual(pair.local, lines[place].keys[0].master)
        [line] = self.keys.offer()
        self.assertEqual((line.suite, line.keys), (SHORT, lines[1].keys))

    def test_backToAnEndedKey(self) -> None:
        """An answer that goes back to a suite whose key has ended, by an offer since, is refused."""
        self.keys.offer()
        self.keys.agree(self.keys.answered([theirs(1, LONG)]))
        self.keys.agree(self.keys.answered([theirs(2, SHORT)]))
        self.keys.answer([theirs(1, SHORT)])
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answered, [theirs(1, LONG)])
        self.assertIn("given up", str(failure))

    def test_suiteChangedBack(self) -> None:
        """The peer offers another suite, and later the first one again: that has a new key then."""
        before = self.keys.answer([theirs(1, LONG)])[1]
        self.keys.agree(before)
        self.keys.agree(self.keys.answer([theirs(1, SHORT)])[1])
        after = self.keys.answer([theirs(1, LONG)])[1]
        self.assertNotEqual(after.local, before.local)
        self.assertEqual(self.keys.answer([theirs(1, LONG)])[1], after)

    def test_repr(self) -> None:
        """No key shows."""
        lines = self.keys.offer()
        pair = self.keys.answered([theirs(1, LONG)])
        text = repr((self.keys, lines, pair, vars(self.keys)))
        self.assertNotIn(lines[0].keys[0].encode()[7:], text)
        self.assertNotIn(repr(pair.local.key)[2:-1], text)


class AnswerTests(SynchronousTestCase):
    """The peer offers."""

    def setUp(self) -> None:
        """Two suites are allowed."""
        self.keys = SecurityDescriptions((LONG, SHORT), countingEntropy())

    def test_rfc4568_5_1_2_firstUsable(self) -> None:
        """The first usable line in the peer's order; its tag, our key."""
        line, pair = self.keys.answer([theirs(4, GCM), theirs(9, SHORT), theirs(1, LONG)])
        self.assertEqual((line.tag, line.suite, pair.suite), (9, SHORT, SHORT))
        self.assertEqual(line.keys[0].master, pair.local)
        self.assertEqual(pair.remote, theirs(9, SHORT).keys[0].master)

    def test_refused(self) -> None:
        """Nothing usable: the text says what was wanted and what was wrong with each line."""
        lines = [theirs(1, GCM), several(2, *[None] * 17), theirs(3, SHORT, "UNENCRYPTED_SRTCP")]
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, lines)
        wanted = f"{GCM} is not allowed, .* has 17 keys, 16 at most .*SRTCP; wanted one of {LONG}, {SHORT}"
        self.assertRegex(str(failure), wanted)
        self.assertIn("line: none;", str(self.assertRaises(KeyAgreementFailed, self.keys.answer, [])))

    def test_weakening(self) -> None:
        """What weakens security is refused by its name, and a line without it is taken."""
        tokens = ("UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP")
        for token in tokens:
            weak = [theirs(1, LONG, token.lower())]
            failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, weak)
            self.assertIn(f"{LONG} asks for {token};", str(failure))
            self.assertEqual((failure.status, failure.warning), (488, 306))
            self.assertEqual(self.keys.answer([theirs(1, LONG, token), theirs(2, LONG)])[0].tag, 2)
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, [theirs(1, LONG, *tokens)])
        self.assertIn(f"asks for {' '.join(sorted(tokens))};", str(failure))

    def test_shortLifetime(self) -> None:
        """A key that is good for less than 22 minutes is not used, and the next line is."""
        short = theirs(1, LONG, lifetime=2**15)
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, [short])
        self.assertIn("lifetime of 32768 packets", str(failure))
        self.assertEqual(self.keys.answer([short, theirs(2, SHORT)])[0].suite, SHORT)

    def test_severalKeys(self) -> None:
        """RFC 4568 section 6.1: all of the peer's keys with their MKIs; ours stays one, without."""
        offered = several(3, 2**20, 2**16, 2**20)
        line, pair = self.keys.answer([offered])
        self.assertEqual((line.tag, len(line.keys), line.keys[0].mki), (3, 1, None))
        self.assertEqual(pair.declared, DeclaredKeys(offered.keys))
        self.assertEqual((pair.remote, pair.lifetime), (offered.keys[0].master, 2**21 + 2**16))
        self.assertIsNone(self.keys.answer([several(3, 2**20, None)])[1].lifetime)
        failure = self.assertRaises(KeyAgreementFailed, self.keys.answer, [several(3, 2**20, 2**15)])
        self.assertIn("lifetime of 32768", str(failure))

    def test_declared(self) -> None:
        """One key may have an MKI, or a rate, too; what is plain declares nothing."""
        for line, rate in ((theirs(1, LONG, mki=3), 0), (theirs(1, LONG, "kdr=10"), 1024)):
            self.assertEqual(self.keys.answer([line])[1].declared, DeclaredKeys(line.keys, rate))
        self.assertIsNone(self.keys.answer([theirs(1, LONG, "KDR=0", lifetime=2**20)])[1].declared)

    def test_bounded(self) -> None:
        """However many lines there are, the text stays one that can be read."""
        lines = [theirs(number, LONG, lifetime=number) for number in range(1, 500)]
        self.assertLess(len(str(self.assertRaises(KeyAgreementFailed, self.keys.answer, lines))), 600)

    def test_troubles(self) -> None:
        """What cannot be read is told without the key, or what may be one."""
        key = "A" * 40
        values = [f"1 {LONG} inline:{key} {key}", f"2 {LONG} inline:{key}", f"3 {LONG} inline:{key} kdr=25"]
        text = troubles(values, weakening=True)
        self.assertEqual(text.count("unknown session parameter"), 2)
        self.assertNotIn("AAAA", text)
        weak = [f"2 {LONG} inline:{key} UNAUTHENTICATED_SRTP"]
        self.assertEqual(troubles(weak, weakening=True), "crypto 2 asks for UNAUTHENTICATED_SRTP")
        self.assertEqual(troubles(weak, weakening=False), "")

    def test_same(self) -> None:
        """The same offer gets the same answer, before and after it is agreed."""
        offer = [theirs(1, SHORT), theirs(2, LONG)]
        first = self.keys.answer(offer)
        self.assertEqual(self.keys.answer(offer), first)
        self.keys.agree(first[1])
        self.assertEqual(self.keys.answer(offer), first)

    def test_suiteInUse(self) -> None:
        """A later offer that still has the suite in use keeps it, wherever it stands there."""
        self.keys.agree(self.keys.answer([theirs(1, SHORT)])[1])
        line, _ = self.keys.answer([theirs(1, LONG), theirs(2, SHORT)])
        self.assertEqual((line.tag, line.suite), (2, SHORT))

    def test_refusedOfferLeavesTheKeys(self) -> None:
        """RFC 4568 section 7.1.4: an offer of another suite that comes to nothing changes no key."""
        line, pair = self.keys.answer([theirs(1, LONG)])
        self.keys.agree(pair)
        self.keys.answer([theirs(1, SHORT)])
        self.assertEqual(self.keys.agreed, LONG)
        self.assertEqual(self.keys.offer()[0].keys, line.keys)

    def test_neverTheSameKeyAgain(self) -> None:
        """A suite that is left and returned to has another key: its first context has ended."""
        keys = []
        for suite in (LONG, SHORT, LONG):
            line, pair = self.keys.answer([theirs(1, suite)])
            self.keys.agree(pair)
            keys.append(line.keys[0].master)
        self.assertEqual(len(set(keys)), 3)
