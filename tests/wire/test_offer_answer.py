"""Tests of L{skypetrunk.wire.offer_answer}."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from skypetrunk.wire.offer_answer import RULES, brokenRules
from skypetrunk.wire.sdp import parseSDP
from tests.wire.vectors import checkAgainst, readJSON, readLines

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
STREAM = HEAD + "m=audio 4000 RTP/SAVP 8\r\n"
KEY = "inline:NJL4f/9emzavj3N5CqOrivSVIvCT8asCKoa9amSH"
LINE = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"
F8 = f"a=crypto:2 F8_128_HMAC_SHA1_80 {KEY}\r\n"


def _broken(offer: str, answer: str) -> tuple[str, ...]:
    return brokenRules(parseSDP(offer.encode()), parseSDP(answer.encode()))


class VectorTests(SynchronousTestCase):
    """The pairs of C{sdp/offer_answer.jsonl} and C{sdp/exchanges.json}."""

    def test_checks(self) -> None:
        """Each pair breaks just the rules that are given."""

        def results() -> Iterator[tuple[str, str | None]]:
            for vector in readLines("sdp/offer_answer.jsonl"):
                if vector["kind"] == "check":
                    broken = _broken(vector["offer"], vector["answer"])
                    wanted = sorted(vector["broken_rules"])
                    self.assertEqual(vector["legal"], not wanted)
                    yield vector["id"], None if sorted(broken) == wanted else f"{broken} instead of {wanted}"

        checkAgainst(self, {}, results())

    def test_exchanges(self) -> None:
        """The exchanges of RFC 3264 and RFC 4317 break no rule, and leave the streams that are given."""
        for group in readJSON("sdp/exchanges.json")["exchanges"]:
            for exchange in group["exchanges"]:
                self.assertEqual(_broken(exchange["offer"], exchange["answer"]), (), group["id"])
                answer = parseSDP(exchange["answer"].encode())
                active = [index for index, media in enumerate(answer.media) if media.port]
                self.assertEqual(active, exchange["active_streams"], group["id"])


class RuleTests(SynchronousTestCase):
    """Rules beyond the vectors."""

    def test_names(self) -> None:
        """Several broken rules come in the order of the table."""
        broken = _broken(STREAM + LINE + "a=sendonly\r\n", STREAM.replace("SAVP", "AVP") * 1)
        self.assertEqual(broken, ("proto", "direction", "crypto-missing"))
        self.assertTrue(set(broken) <= set(RULES))

    def test_opportunisticDeclined(self) -> None:
        """Keys under RTP/AVP may be declined (RFC 8643 section 3.1)."""
        plain = STREAM.replace("SAVP", "AVP")
        self.assertEqual(_broken(plain + LINE, plain), ())

    def test_keyNeverOffered(self) -> None:
        """A key for a stream that was offered without is refused."""
        plain = STREAM.replace("SAVP", "AVP")
        self.assertEqual(_broken(plain, plain + LINE), ("crypto-tag",))

    def test_keysOfAnotherProtocol(self) -> None:
        """A stream whose keys RFC 4567 carries needs no crypto line, nor can it be answered by one."""
        managed = STREAM + "a=key-mgmt:mikey AQAA\r\n"
        self.assertEqual(_broken(managed, managed), ())
        self.assertEqual(_broken(managed, managed + LINE), ("crypto-tag",))
        self.assertEqual(_broken(managed + LINE, managed), ("crypto-missing",))

    def test_unknownSuite(self) -> None:
        """A suite that is not known here is refused, offered or not."""
        self.assertEqual(_broken(STREAM + LINE + F8, STREAM + F8), ("crypto-invalid",))
        self.assertEqual(_broken(STREAM + LINE, STREAM + F8), ("crypto-tag",))
        self.assertEqual(_broken(STREAM + LINE, STREAM + F8.replace("2", "1", 1)), ("crypto-suite",))

    def test_unreadableOffer(self) -> None:
        """A tag that stood on an unreadable line only was not offered."""
        self.assertEqual(_broken(STREAM + "a=crypto:1 x\r\n", STREAM + LINE), ("crypto-tag",))

    def test_doubledTag(self) -> None:
        """Of two offered lines with one tag the first counts."""
        short = LINE.replace("_80", "_32")
        self.assertEqual(_broken(STREAM + LINE + short, STREAM + LINE), ())
        self.assertEqual(_broken(STREAM + LINE + short, STREAM + short), ("crypto-suite",))

    def test_refusedStream(self) -> None:
        """A refused stream may say anything else (RFC 3264 section 6)."""
        refused = HEAD + "m=audio 0 RTP/AVP 0\r\na=sendonly\r\n"
        self.assertEqual(_broken(STREAM + LINE, refused), ())
