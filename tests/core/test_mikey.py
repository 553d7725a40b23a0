"""Tests of L{skypetrunk.core.mikey} and L{skypetrunk.core.mikey_messages}: two sessions agree keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from skypetrunk.core.mikey import MIKEYPeer
from skypetrunk.core.mikey_keys import Bundle, messageKeys
from skypetrunk.core.mikey_messages import NoProtection, PreSharedKey
from skypetrunk.core.mikey_replay import ntpTime
from skypetrunk.core.session import AudioStream, Session
from skypetrunk.errors import KeyAgreementFailed, MalformedSDP
from skypetrunk.interfaces import IKeyAgreement
from skypetrunk.wire.mikey import ERROR, INITIATE, CryptoSession, Message, messageIn, parseMIKEY, sdpValue
from skypetrunk.wire.mikey_payloads import (
    NULL,
    SDP_IDS,
    TEK,
    TEK_SALT,
    TGK,
    Extension,
    Failure,
    Identity,
    KeyData,
    KeyTransport,
    Payload,
    Random,
    SecurityPolicy,
    Timestamp,
)
from skypetrunk.wire.mikey_policy import policyOf
from skypetrunk.wire.sdes import MasterKey
from skypetrunk.wire.sdp import SessionDescription, parseSDP
from skypetrunk.wire.secret import Secret
from tests.core.callnet import RecordingMediaLeg, sdp
from tests.core.test_keys import GCM, LONG, SHORT, countingEntropy
from tests.wire.test_mikey import BAD_MAC, MESSAGES, VECTORS

KEY = Secret("000102030405060708090a0b0c0d0e0f")
OTHER = Secret("ff0102030405060708090a0b0c0d0e0f")
STREAM = AudioStream(("8",), (("rtpmap", "8 PCMA/8000"),), "sendrecv")
NOW = 1_800_000_000.0
MASTER = bytes(range(30))


class End:
    """One end of a call: its session, and what it told its media leg."""

    def __init__(self, peer: MIKEYPeer, suites: Sequence[str], first: int) -> None:
        """
        @param first: entropy begins there, so that no two ends have the same.
        """
        numbers = countingEntropy()
        self.media = RecordingMediaLeg("leg", True, 20000 + 2 * first)
        self.keys = peer.agreement(suites, lambda octets: bytes([first]) + numbers(octets)[1:])
        self.session = Session(self.media, self.keys, countingEntropy())

    def settled(self, name: str) -> list[tuple[object, ...]]:
        """Keys that the media leg was told, each once, in order: C{local} or C{remote key}."""
        return list(dict.fromkeys(event[1:3] for event in self.media.events if event[0] == name))

    @property
    def local(self) -> tuple[object, ...]:
        """Suite and key that it protects with."""
        return self.settled("local")[-1]

    @property
    def remote(self) -> tuple[object, ...]:
        """Suite and key that it expects."""
        return self.settled("remote key")[-1]


def messageOf(body: bytes) -> Message:
    """The MIKEY message in a description."""
    octets = messageIn(parseSDP(body).media[0].all("key-mgmt"))
    assert octets is not None
    return parseMIKEY(octets)


class CallTestCase(SynchronousTestCase):
    """
    Two ends.

    @cvar key: pre-shared, or C{None}.
    """

    key: Secret | None = None

    def setUp(self) -> None:
        """Their clocks are the same."""
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.peer = MIKEYPeer(self.key, self.clock.seconds)
        self.left = self.end(7)
        self.right = self.end(9)

    def end(self, first: int, suites: Sequence[str] = (LONG, SHORT)) -> End:
        """One end; the peers that it has are its own."""
        return End(MIKEYPeer(self.key, self.clock.seconds), suites, first)

    def exchange(self, asking: End, answering: End, fresh: bool = False) -> tuple[bytes, bytes]:
        """An offer and its answer: both bodies."""
        offer = asking.session.makeOffer(STREAM, fresh)
        return offer, self.answerTo(offer, asking, answering)

    def answerTo(self, offer: bytes, asking: End, answering: End) -> bytes:
        """The answer, which comes back."""
        answer = answering.session.makeAnswer(answering.session.offerReceived(offer))
        answering.session.answerSent()
        asking.session.answerReceived(answer)
        asking.session.answered()
        return answer

    def agreed(self) -> None:
        """Each expects what the other protects with, and the directions differ."""
        self.assertEqual(self.left.local, self.right.remote)
        self.assertEqual(self.right.local, self.left.remote)
        self.assertNotEqual(self.left.local, self.left.remote)


class NullTests(CallTestCase):
    """Keys in clear, for a connection that is secure already."""

    def test_interface(self) -> None:
        """It is what sessions ask for."""
        self.assertTrue(verifyObject(IKeyAgreement, self.left.keys))

    def test_agreed(self) -> None:
        """Offer and answer: a key for each direction, and the SSRC that each was told is the other's."""
        offer, answer = self.exchange(self.left, self.right)
        self.agreed()
        self.assertEqual(self.left.local[0], LONG)
        asked, told = messageOf(offer), messageOf(answer)
        self.assertEqual((asked.answered, told.answered), (True, False))
        self.assertEqual(asked.sessions[1].ssrc, 0)
        self.assertEqual(told.sessions[0], asked.sessions[0])
        for end, session in ((self.left, 0), (self.right, 1)):
            (event,) = [each for each in end.media.events if each[0] == "local"]
            self.assertEqual(event[3], told.sessions[session].ssrc)
        self.assertEqual(parseSDP(answer).media[0].protocol, "RTP/SAVP")

    def test_suites(self) -> None:
        """The first suite allowed is offered; one that is not allowed is refused by its name."""
        for suite in (SHORT, GCM, "AES_256_CM_HMAC_SHA1_80"):
            self.left, self.right = self.end(3, (suite, LONG)), self.end(4, (LONG, suite))
            self.exchange(self.left, self.right)
            self.agreed()
            self.assertEqual(self.left.remote[0], suite)
        self.assertIn(f"{SHORT} is not allowed", self.refusal(self.end(5, (SHORT,)), self.end(6, (LONG,))))

    def refusal(self, asking: End, answering: End) -> str:
        """Why an offer is refused."""
        offer = asking.session.makeOffer(STREAM)
        failure = self.assertRaises(KeyAgreementFailed, answering.session.offerReceived, offer)
        self.assertEqual((failure.status, failure.warning), (488, 306))
        self.assertEqual(answering.media.events, [])
        return str(failure)

    def test_repeated(self) -> None:
        """Later offers of the same end repeat message and keys, hours later too; no context is made anew."""
        offer, answer = self.exchange(self.left, self.right)
        self.clock.advance(20_000)
        held = self.left.session.makeOffer(replace(STREAM, direction="sendonly"))
        self.assertEqual(messageOf(held), messageOf(offer))
        self.assertEqual(messageOf(self.answerTo(held, self.left, self.right)), messageOf(answer))
        self.agreed()
        self.assertEqual(len(self.left.settled("local")) + len(self.right.settled("local")), 2)

    def test_otherEndOffers(self) -> None:
        """An offer of the other end is a message of its own, with other keys, and is the one in use then."""
        self.exchange(self.left, self.right)
        self.exchange(self.right, self.left)
        self.agreed()
        again, _ = self.exchange(self.right, self.left)
        self.exchange(self.left, self.right)
        self.agreed()
        keys = [key for end in (self.left, self.right) for key in end.settled("local")]
        self.assertEqual((len(keys), len(set(keys))), (6, 6))
        self.assertNotEqual(messageOf(self.right.session.makeOffer(STREAM)), messageOf(again))

    def test_fresh(self) -> None:
        """A new key is a new message; refused, it leaves what stands."""
        offer, _ = self.exchange(self.left, self.right)
        self.left.session.makeOffer(STREAM, freshKey=True)
        self.left.session.forget()
        self.assertEqual(messageOf(self.left.session.makeOffer(STREAM)), messageOf(offer))
        self.exchange(self.left, self.right, fresh=True)
        self.agreed()
        self.assertEqual(len(set(self.left.settled("local"))), 2)

    def test_refreshed(self) -> None:
        """What stands is offered again: the same octets of whose message it is; else with another message."""
        offer, _ = self.exchange(self.left, self.right)
        repeated = self.left.session.repeatOffer()
        self.assertEqual(repeated, offer)
        self.answerTo(repeated, self.left, self.right)
        self.assertEqual(len(self.left.settled("local")), 1)
        refresh = self.right.session.repeatOffer()
        self.assertEqual(len(parseSDP(refresh).media[0].all("key-mgmt")), 1)
        self.assertEqual(messageOf(refresh).type, INITIATE)
        self.answerTo(refresh, self.right, self.left)
        self.agreed()
        self.assertEqual(len(set(self.left.settled("local"))), 2)

    def test_responseRepeated(self) -> None:
        """Who answered may repeat its answer as an offer: nothing changes, we repeat our message."""
        offer, answer = self.exchange(self.left, self.right)
        stream = self.left.session.offerReceived(answer)
        self.assertEqual(messageOf(self.left.session.makeAnswer(stream)), messageOf(offer))
        self.assertEqual(len(self.left.settled("local")), 1)

    def test_answeredTwice(self) -> None:
        """A provisional answer and the final one have the same message and SSRC."""
        stream = self.right.session.offerReceived(self.left.session.makeOffer(STREAM))
        self.assertEqual(self.right.session.makeAnswer(stream), self.right.session.makeAnswer(stream))

    def test_forked(self) -> None:
        """Two branches answer one offer: the same keys, made once; each sends a stream of its own."""
        offer = self.left.session.makeOffer(STREAM)
        branches = self.right, self.end(5)
        for branch in branches:
            answer = branch.session.makeAnswer(branch.session.offerReceived(offer))
            self.left.session.answerReceived(answer)
            self.assertEqual((branch.local, branch.remote), (self.left.remote, self.left.local))
        self.assertEqual(len(self.left.settled("local")), 1)
        told = [event[3] for end in branches for event in end.media.events if event[0] == "local"]
        self.assertEqual(len(set(told)), 2)

    def test_ourOwn(self) -> None:
        """Our message comes back as an offer: we would protect with the peer's key, and hear ourselves."""
        offer, _ = self.exchange(self.left, self.right)
        for body in (offer, self.left.session.makeOffer(STREAM, freshKey=True)):
            self.left.session.forget()
            failure = self.assertRaises(KeyAgreementFailed, self.left.session.offerReceived, body)
            self.assertIn("it is our own", str(failure))

    def test_replayed(self) -> None:
        """A message makes keys for one leg, and for that one only while it is in use."""
        offer, _ = self.exchange(self.left, self.right)
        shared = MIKEYPeer(self.key, self.clock.seconds)
        first, second = End(shared, (LONG,), 3), End(shared, (LONG,), 4)
        first.session.makeAnswer(first.session.offerReceived(offer))
        failure = self.assertRaises(KeyAgreementFailed, second.session.offerReceived, offer)
        self.assertIn("used before", str(failure))
        self.exchange(self.left, self.right, fresh=True)
        failure = self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, offer)
        self.assertIn("used before", str(failure))

    def test_refusedOfferMayComeAgain(self) -> None:
        """An offer that came to nothing has made no key: it may be taken elsewhere, or later."""
        offer = self.left.session.makeOffer(STREAM)
        shared = MIKEYPeer(self.key, self.clock.seconds)
        first, second = End(shared, (LONG,), 3), End(shared, (LONG,), 4)
        first.session.offerReceived(offer)
        first.session.refused()
        second.session.makeAnswer(second.session.offerReceived(offer))
        failure = self.assertRaises(KeyAgreementFailed, first.session.offerReceived, offer)
        self.assertIn("used before", str(failure))

    def test_old(self) -> None:
        """Section 5.4: a message from another time is refused, and says how far off it is."""
        offer = self.left.session.makeOffer(STREAM)
        self.clock.advance(301)
        failure = self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, offer)
        self.assertIn("301 seconds old", str(failure))

    def test_sessionLevel(self) -> None:
        """RFC 4567 section 3.1: a message of the whole session counts where the stream has none."""
        offer = parseSDP(self.left.session.makeOffer(STREAM))
        value = offer.media[0].first("key-mgmt")
        (line,) = (each.withoutAttributes("key-mgmt") for each in offer.media)
        moved = replace(offer, media=(line,), attributes=(("key-mgmt", value),))
        answer = self.right.session.makeAnswer(self.right.session.offerReceived(moved.encode()))
        self.left.session.answerReceived(answer)
        self.agreed()

    def test_missing(self) -> None:
        """No message, crypto lines instead, or one that cannot be read: refused, on either side."""
        crypto = f"a=crypto:1 {LONG} inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
        for value in ("", "mikey AAAA", "mikey ?", "x AAAA"):
            line = f"a=key-mgmt:{value}\r\n" if value else crypto
            body = sdp(f"m=audio 6000 RTP/SAVP 8\r\n{line}")
            self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, body)
            self.left.session.makeOffer(STREAM)
            self.assertRaises(KeyAgreementFailed, self.left.session.answerReceived, body)
        self.assertEqual(self.left.media.events + self.right.media.events, [])

    def test_both(self) -> None:
        """An offer with crypto lines beside the message: the message counts, and is answered alone."""
        offer = self.left.session.makeOffer(STREAM)
        more = b"a=crypto:1 " + LONG.encode() + b" inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
        answer = self.right.session.makeAnswer(self.right.session.offerReceived(offer + more))
        self.assertEqual(parseSDP(answer).media[0].crypto, ())
        self.left.session.answerReceived(answer)
        self.agreed()

    def test_wrongAnswers(self) -> None:
        """An answer to another offer, with a message of its own, or an error."""
        ours = self.left.session.makeOffer(STREAM)
        others = self.end(3)
        _, answer = self.exchange(self.end(4), others)
        own = self.end(5).session.makeOffer(STREAM)
        error = replace(messageOf(ours), type=ERROR, payloads=(Failure(1),)).encode()
        refusing = sdp(f"m=audio 6000 RTP/SAVP 8\r\na=key-mgmt:{sdpValue(error)}\r\n")
        for body, text in ((answer, "no response to ours"), (own, "no response"), (refusing, "invalid time")):
            failure = self.assertRaises(KeyAgreementFailed, self.left.session.answerReceived, body)
            self.assertIn(text, str(failure))
        for body, text in ((answer, "it is a response"), (refusing, "the peer says invalid time stamp")):
            failure = self.assertRaises(KeyAgreementFailed, self.end(6).session.offerReceived, body)
            self.assertIn(text, str(failure))

    def test_preSharedKeyIsThere(self) -> None:
        """A message with a pre-shared key is not taken for one without."""
        offer = End(MIKEYPeer(KEY, self.clock.seconds), (LONG,), 3).session.makeOffer(STREAM)
        failure = self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, offer)
        self.assertIn("there is none here", str(failure))

    def test_repr(self) -> None:
        """No key shows."""
        self.exchange(self.left, self.right)
        key = self.left.local[1]
        assert isinstance(key, MasterKey)
        text = repr((vars(self.left.keys), vars(self.left.session)))
        self.assertNotIn(repr(key.key)[2:-1], text)


class MadeTests(SynchronousTestCase):
    """Messages of others, in clear."""

    def setUp(self) -> None:
        """An end that takes two suites."""
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.peer = MIKEYPeer(None, self.clock.seconds)
        self.end = End(self.peer, (LONG, SHORT), 1)
        self.time = ntpTime(NOW)

    def offer(
        self,
        keys: Sequence[KeyData],
        sessions: Sequence[CryptoSession] = (CryptoSession(0, 1), CryptoSession(0, 0)),
        payloads: Sequence[Payload] = (),
        protocols: Sequence[str] = (),
        answered: bool = True,
    ) -> SessionDescription:
        """What the end answers to such a message."""
        middle = payloads or (Random(bytes(16)), policyOf(LONG))
        message = Message(INITIATE, answered, 0, 5, tuple(sessions), (self.time, *middle))
        _, octets = NoProtection().seal(message, Bundle(5, bytes(16)), keys)
        lines = "".join(f"a=key-mgmt:{each}\r\n" for each in (*protocols, sdpValue(octets)))
        body = sdp(f"m=audio 6000 RTP/SAVP 8\r\n{lines}")
        return parseSDP(self.end.session.makeAnswer(self.end.session.offerReceived(body)))

    def test_transported(self) -> None:
        """A key for each direction, as they are used, in whichever of the two ways they are written."""
        other = bytes(reversed(MASTER))
        self.offer((KeyData(TEK, MASTER), KeyData(TEK_SALT, other[:16], other[16:])))
        self.assertEqual(self.end.remote, (LONG, MasterKey(MASTER[:16], MASTER[16:])))
        self.assertEqual(self.end.local, (LONG, MasterKey(other[:16], other[16:])))

    def test_sameKeyAgain(self) -> None:
        """Another message with the same key for our direction is refused, in other calls as well."""
        other = bytes(reversed(MASTER))
        self.offer((KeyData(TEK, MASTER), KeyData(TEK, other)))
        self.end = End(self.peer, (LONG,), 2)
        again = (KeyData(TEK, bytes(30)), KeyData(TEK, other))
        failure = self.assertRaises(KeyAgreementFailed, self.offer, again)
        self.assertIn("its key was used before", str(failure))

    def test_sameKeysInAnotherMessage(self) -> None:
        """Another message with the keys in use changes nothing; its response has the SSRC that we have."""
        keys = (KeyData(TEK, MASTER), KeyData(TEK, bytes(reversed(MASTER))))
        first = self.offer(keys)
        self.clock.advance(400)
        self.time = ntpTime(self.clock.seconds())
        second = self.offer(keys, (CryptoSession(0, 1), CryptoSession(0, 99)))
        told = [messageOf(each.encode()).sessions[1].ssrc for each in (first, second)]
        self.assertEqual(len(set(told)), 1)
        locals_ = [event[1:] for event in self.end.media.events if event[0] == "local"]
        self.assertEqual(len(set(locals_)), 1)

    def test_ssrcChosen(self) -> None:
        """An SSRC that the peer chose for us is ours; without the flag there is no response."""
        sessions = (CryptoSession(0, 1), CryptoSession(0, 77))
        answer = self.offer((KeyData(TGK, bytes(16)),), sessions, answered=False)
        self.assertEqual(answer.media[0].all("key-mgmt"), ())
        self.assertEqual([each[3] for each in self.end.media.events if each[0] == "local"], [77])

    def test_refreshAfterNoResponse(self) -> None:
        """What stands may be an answer without a message: our refresh has one all the same."""
        self.offer((KeyData(TGK, bytes(16)),), answered=False)
        self.end.session.answerSent()
        refresh = self.end.session.repeatOffer()
        self.assertEqual(messageOf(refresh).type, INITIATE)
        self.assertTrue(parseSDP(refresh).media[0].isSecure)

    def test_protocolsListed(self) -> None:
        """RFC 4567 section 4.1.4: the list of protocols is that of the offer."""
        listed = (Random(bytes(16)), Extension(SDP_IDS, b"other mikey"))
        self.offer((KeyData(TGK, bytes(16)),), payloads=listed, protocols=("other AAAA",))
        other = (KeyData(TGK, bytes(17)),)
        failure = self.assertRaises(KeyAgreementFailed, self.offer, other, payloads=listed)
        self.assertIn("other protocols than it lists", str(failure))

    def test_refused(self) -> None:
        """What cannot be done is refused by its name."""
        key = KeyData(TGK, bytes(16))
        one, two = CryptoSession(0, 1), CryptoSession(0, 2)
        random, policy = Random(bytes(16)), policyOf(LONG)
        for keys, sessions, payloads, text in (
            ((key,), (one,), (), "1 crypto sessions, one each way"),
            ((key,), (one, two, two), (), "3 crypto sessions"),
            ((key,), (CryptoSession(0, 1, 7), two), (), "roll-over counter"),
            ((key,), (one, CryptoSession(1, 2)), (), "one security policy"),
            ((key,), (one, two), (random, policy, policy), "one security policy"),
            ((key,), (one, two), (random, policyOf(LONG, 1)), "one security policy"),
            ((key,), (one, two), (random, SecurityPolicy(0, 0, ((7, b"\0"),))), "SRTP without encryption"),
            ((key,), (one, two), (random, policyOf(GCM)), f"{GCM} is not allowed"),
            ((key,), (one, two), (policy,), "one RAND"),
            ((key,), (one, two), (random, self.time), "2 time stamps"),
            ((KeyData(TGK, bytes(15)),), (one, two), (), "a key of 15 octets"),
            ((key, key), (one, two), (), "2 keys"),
            ((), (one, two), (), "0 keys"),
            ((KeyData(TEK, MASTER),), (one, two), (), "1 keys"),
            ((KeyData(TEK, MASTER), KeyData(TEK, MASTER)), (one, two), (), "the same key"),
            ((KeyData(1, bytes(16), bytes(14)),), (one, two), (), "1 keys"),
        ):
            failure = self.assertRaises(KeyAgreementFailed, self.offer, keys, sessions, payloads)
            self.assertIn(text, str(failure))
        self.assertEqual(self.end.media.events, [])

    def test_identifier(self) -> None:
        """A key that packets would have to name, or that is good for some of them."""
        for octets in (b"\0\1\0\x10" + bytes(16) + b"\1I", b"\0\2\0\x10" + bytes(16) + b"\1A\1B"):
            payloads = (self.time, Random(bytes(16)), KeyTransport(NULL, octets, NULL, b""))
            message = Message(INITIATE, True, 0, 5, (CryptoSession(0, 1),) * 2, payloads)
            body = sdp(f"m=audio 6000 RTP/SAVP 8\r\na=key-mgmt:{sdpValue(message.encode())}\r\n")
            failure = self.assertRaises(KeyAgreementFailed, self.end.session.offerReceived, body)
            self.assertIn("MKI", str(failure))


class PreSharedKeyTests(NullTests):
    """The same with a pre-shared key, which encrypts and proves."""

    key = KEY

    def test_preSharedKeyIsThere(self) -> None:
        """Keys in clear, or without a MAC, are not taken where there is a pre-shared key."""
        offer = End(MIKEYPeer(None, self.clock.seconds), (LONG,), 3).session.makeOffer(STREAM)
        failure = self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, offer)
        self.assertIn("encryption 0 and MAC 0, with a pre-shared key 1 and 1", str(failure))

    def test_otherKey(self) -> None:
        """Another key: neither the message nor the response is proved."""
        wrong = End(MIKEYPeer(OTHER, self.clock.seconds), (LONG,), 3)
        offer = self.left.session.makeOffer(STREAM)
        failure = self.assertRaises(KeyAgreementFailed, wrong.session.offerReceived, offer)
        self.assertIn("another pre-shared key", str(failure))
        answer = self.right.session.makeAnswer(self.right.session.offerReceived(offer))
        octets = messageIn(parseSDP(answer).media[0].all("key-mgmt"))
        assert octets is not None
        for changed in (octets[:-1] + bytes((octets[-1] ^ 1,)), octets[:13] + b"\7" + octets[14:]):
            body = answer.replace(sdpValue(octets).encode(), sdpValue(changed).encode())
            self.assertNotEqual(body, answer)
            failure = self.assertRaises(KeyAgreementFailed, self.left.session.answerReceived, body)
            self.assertIn("does not prove", str(failure))
        self.assertEqual(self.left.media.events, [])
        self.left.session.answerReceived(answer)
        self.agreed()

    def test_changed(self) -> None:
        """An octet changed anywhere: refused."""
        offer = self.left.session.makeOffer(STREAM)
        octets = messageIn(parseSDP(offer).media[0].all("key-mgmt"))
        assert octets is not None
        for at in range(len(octets)):
            changed = octets[:at] + bytes((octets[at] ^ 0x20,)) + octets[at + 1 :]
            body = offer.replace(sdpValue(octets).encode(), sdpValue(changed).encode())
            self.assertRaises(KeyAgreementFailed, self.right.session.offerReceived, body)
        self.right.session.offerReceived(offer)

    def test_unprovedAnswer(self) -> None:
        """A response without a MAC proves nothing."""
        offer = self.left.session.makeOffer(STREAM)
        asked = messageOf(offer)
        bare = NoProtection().respond(asked, asked.sessions)
        body = sdp(f"m=audio 6000 RTP/SAVP 8\r\na=key-mgmt:{sdpValue(bare)}\r\n")
        failure = self.assertRaises(KeyAgreementFailed, self.left.session.answerReceived, body)
        self.assertIn("verification by algorithm 0, 1 is wanted", str(failure))

    def test_vectors(self) -> None:
        """Each message of the vectors with this protection: its keys come out, with its own key alone."""
        for name, vector in MESSAGES.items():
            if "psk" not in vector:
                continue
            octets = bytes.fromhex(vector["hex"])
            protection = PreSharedKey(Secret(vector["psk"]))
            if vector["fields"]["kemac"]["encryption"] == "NULL":
                self.assertRaises(MalformedSDP, protection.open, parseMIKEY(octets), octets)
                continue
            bundle, keys = protection.open(parseMIKEY(octets), octets)
            self.assertEqual([key.key.hex() for key in keys], [vector["fields"]["kemac"]["tgk"]], name)
            for wanted in vector["srtp_master"]:
                master = bundle.master(keys[0], wanted["cs_id"], LONG)
                self.assertEqual(master.key.hex(), wanted["master_key"])
            self.assertRaises(MalformedSDP, PreSharedKey(OTHER).open, parseMIKEY(octets), octets)
        (bad,) = [bytes.fromhex(each["hex"]) for each in VECTORS["malformed"] if each["id"] == BAD_MAC]
        protection = PreSharedKey(Secret(MESSAGES["psk-0"]["psk"]))
        self.assertRaises(MalformedSDP, protection.open, parseMIKEY(bad), bad)

    def test_identities(self) -> None:
        """Identities in the initiator's message are part of what the response proves (section 5.2)."""
        vector = MESSAGES["psk-1"]
        octets = bytes.fromhex(vector["hex"])
        read = parseMIKEY(octets)
        protection = PreSharedKey(Secret(vector["psk"]))
        response = protection.respond(read, read.sessions)
        protection.verify(parseMIKEY(response), response, read)
        told = [each.data for each in read.payloads if isinstance(each, Identity)]
        self.assertEqual(told, [b"sip:alice@example.com", b"sip:bob@example.net"])
        bundle, _ = protection.open(read, octets)
        time = read.payloads[0]
        assert isinstance(time, Timestamp)
        proved = response[:-20] + b"".join(told) + time.value
        made = messageKeys(bytes.fromhex(vector["psk"]), bundle).mac(proved)
        self.assertEqual(response[-20:], made)
